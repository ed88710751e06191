// The stream listeners of a lane: they accept, and see each stream through what comes before its first byte for the
// frontend: a PROXY header, TLS, an HTTP opening, whose credential it is.
#pragma once

#include <gatehouse/net/stream_listener.hpp>
#include <gatehouse/net/tls_context.hpp>
#include <gatehouse/plugin/api_call.hpp>
#include <gatehouse/plugin/arrival.hpp>
#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/certificates.hpp>
#include <gatehouse/plugin/connection_log.hpp>
#include <gatehouse/plugin/identities.hpp>
#include <gatehouse/plugin/source_limits.hpp>
#include <gatehouse/plugin/source_table.hpp>

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace gatehouse {

/// One per lane; not thread-safe. Streams on their way in are bounded over all sources: in number (a sixteenth of the
/// lane's descriptors, where the source with most of them gives way by its oldest), in time (kDeadline), in memory (a
/// few hundred bytes until a client has begun its TLS, some 40 KB from then on), and in work: kHandshakesAtOnce in a
/// turn and kOpeningRate a second of one source (SourceLimits) in a lane, but for loopback, behind which anybody may
/// be, and trusted proxies: of these whom they name is the source, which X-Forwarded-For does behind the handshake.
/// Nothing else is allocated for a client before it has arrived.
class StreamListeners {
 public:
  /// Who is told. Both are called on the lane, and live as long as this.
  struct Events {
    /// A client is there. Called within the lane's turns; it must not call listen().
    std::function<void(Arrival)> arrived;
    /// The process or the machine is out of descriptors: free some.
    std::function<void(const Error&)> exhausted;
  };

  /// Those of an HTTP API, of a role with Openings::http: streams are no clients, requests are. Each request is one of
  /// the streams on their way in, with all their bounds, from its first byte to the end of its answer; a credential is
  /// looked at for each. A connection ends after kMostRequests, or kDeadline without one.
  struct Api {
    /// Somebody asks. Called within the lane's turns; it must not call listen().
    std::function<void(ApiCall)> asked;
    std::function<void(const Error&)> exhausted;  ///< as of Events
    std::size_t largest_body = 0;                 ///< bytes of a request's
  };

  /// For a frontend whose clients keep their streams. Listens to nothing yet. @throws std::bad_alloc
  StreamListeners(const LaneContext& context, Events events);
  /// For one that is asked over HTTP.
  StreamListeners(const LaneContext& context, Api api);
  ~StreamListeners();
  StreamListeners(const StreamListeners&) = delete;
  StreamListeners& operator=(const StreamListeners&) = delete;

  /// The complete set of the lane's listeners, those of datagrams are left out. Who is on the way in of one that is
  /// gone is dropped; others stay.
  void listen(const std::vector<Listener>& listeners);
  /// Takes a client over that has arrived on another lane of this plugin, which is done with it. @throws std::bad_alloc
  void adopt(Arrival& arrival);
  /// Streams on their way in: a descriptor each.
  [[nodiscard]] std::size_t openings() const noexcept { return openings_.size(); }

  static constexpr Nanoseconds kDeadline = std::chrono::seconds(5);   ///< from the accept to the arrival
  static constexpr Nanoseconds kPatience = std::chrono::seconds(10);  ///< for the answer of an API
  static constexpr unsigned kMostRequests = 1000;                     ///< of one connection to an API
  static constexpr unsigned kHandshakesAtOnce = 2;                    ///< steps of them, in a turn
  static constexpr unsigned kRequestsAtOnce = 4;                      ///< reads of HTTP, in a turn
  static constexpr std::uint64_t kOpeningRate = 100;                  ///< handshakes of one source, a second
  static constexpr std::uint64_t kOpeningBurst = 1000;                ///< of them at once

 private:
  class Opening;
  friend class Opening;
  /// How often something was done in this turn.
  class TurnCount {
   public:
    [[nodiscard]] bool take(SteadyTime turn, unsigned most) noexcept;

   private:
    SteadyTime turn_{};
    unsigned count_ = 0;
  };
  struct Entry {
    std::shared_ptr<const Listener> listener;
    std::unique_ptr<StreamListener> acceptor;
    std::shared_ptr<const TlsContext> tls;
    std::uint64_t seen_generation = 0, tls_generation = 0;  // of all certificates, and of the one that `tls` shows
  };
  struct Counters;

  enum class Refusal : std::uint8_t;

  void accept(const Entry& entry, Stream stream);
  /// The least of what is in progress gives way. False: there is no place at all.
  bool make_place();
  [[nodiscard]] const std::shared_ptr<TlsBuffers>& buffers();
  /// What the listener shows now; null: nothing that works.
  std::shared_ptr<const TlsContext> tls_of(std::uint32_t listener);
  void end_slow_ones();
  void refuse(const StreamPeer& peer, const Listener& listener, Refusal why, std::string_view detail);

  LaneContext context_;
  Events events_;
  std::function<void(ApiCall)> asked_;  // of an API
  std::size_t largest_body_ = 0;
  const Budget budget_;
  Certificates certificates_;
  Identities identities_;
  ConnectionLog connections_;
  const std::unique_ptr<Counters> counters_;
  std::shared_ptr<TlsBuffers> buffers_;  // made with the first TLS stream
  SourceLimits rates_;
  TurnCount handshakes_, requests_;
  std::map<std::uint32_t, Entry> listeners_;
  SourceTable sources_;
  std::map<const Opening*, std::shared_ptr<Opening>> openings_;
  LaneTimer deadline_;  // while there are openings
};

}  // namespace gatehouse
