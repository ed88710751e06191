// A client's lasting relation to the plugin, kept by the host: who it is, what it has carried, what it holds. For the
// lane that serves the client; not thread-safe.
#pragma once

#include <gatehouse/plugin/lane_context.hpp>

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse {

/// What is known about a client when its session is opened. The views need to live during the call only.
struct SessionFacts {
  std::string_view key{};       ///< what the client will resume it by, 255 bytes at most; empty: it never will
  std::string_view identity{};  ///< "token:bob", or empty: then the key is a secret of 32 random characters or more
  Endpoint source{};            ///< where the client is now: clients roam
  std::uint32_t blob_version = 0;
  Bytes blob{};  ///< what to keep for a new session, 4096 bytes at most
};

/// Opens or resumes a session. One without a key ends with this object; one with a key stays, to be resumed, until
/// end(). Completions run on the lane, and with the object they go unrun: so they may use what owns it.
class Session {
 public:
  /// Empty, with the reason in `why`: GH_E_INVALID (a bound of SessionFacts), GH_E_LIMIT (the host remembers no more of
  /// them), GH_E_IO (nothing new while the disk fails). Answer a client with a key in `durable`, not before.
  [[nodiscard]] static std::optional<Session> open(const LaneContext& context, const SessionFacts& facts,
                                                   gh_status& why, Completion durable = {});
  Session(Session&& other) noexcept;
  Session& operator=(Session&& other) noexcept;
  ~Session();

  /// Never 0, never used twice, the same after a restart. For ClientFacts::session.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// It was there: with its leases, its counts and its blob.
  [[nodiscard]] bool resumed() const noexcept { return resumed_; }
  [[nodiscard]] std::uint32_t blob_version() const noexcept { return blob_version_; }
  /// What was kept of a resumed one; moves it out.
  [[nodiscard]] std::vector<std::byte> take_blob() noexcept { return std::exchange(blob_, {}); }

  /// False: the client has come again, on this lane or another one, or the session was ended. Then close the client's
  /// former stream; what is asked for it fails with GH_E_STATE. One relaxed load: look once a batch, and in a timer
  /// where a client may be silent.
  [[nodiscard]] bool is_mine() const noexcept {
    return std::atomic_ref(cells_->opening).load(std::memory_order_relaxed) == opening_;
  }

  /// Datagrams that went through, and their bytes without the frames around them. Up = from the client. Relaxed
  /// additions to the host's cells: no call, for every packet.
  void count_up(std::uint64_t packets, std::uint64_t bytes) noexcept {
    Counter(&cells_->packets_up).add(packets);
    Counter(&cells_->bytes_up).add(bytes);
  }
  void count_down(std::uint64_t packets, std::uint64_t bytes) noexcept {
    Counter(&cells_->packets_down).add(packets);
    Counter(&cells_->bytes_down).add(bytes);
  }

  /// The client is still there, and where.
  gh_status touch(const Endpoint& source);
  /// Replaces the blob. GH_E_INVALID: it is longer than 4096 bytes.
  gh_status keep(std::uint32_t version, Bytes blob, Completion durable = {});

  /// Takes an exclusive resource ("10.0.0.5", "vni:4711") for that time, or renews it; kWithSession: until release() or
  /// the session's end. GH_E_EXISTS: another session holds it. GH_E_LIMIT: this one holds 4096 already. GH_E_IO, here
  /// or in `durable`: no new ones while the disk fails; release() what `durable` refused, which is never a renewal.
  /// Give it to the client in `durable`, not before; it says the same of what was kept for this session before the
  /// call.
  gh_status lease(std::string_view resource, std::chrono::seconds time, Completion durable = {});
  /// GH_E_NOT_FOUND: this session does not hold it.
  gh_status release(std::string_view resource);
  static constexpr std::chrono::seconds kWithSession{0};

  /// Ends it for good, with its leases. Not one that is in other hands.
  void end() noexcept;

 private:
  Session(const LaneContext& context, const gh_session& opened, const SessionFacts& facts, CompletionScope scope);

  const Host* host_;
  gh_lane* lane_;
  gh_session_cells* cells_;
  std::uint64_t opening_;
  std::uint64_t id_;
  std::uint32_t blob_version_;
  bool resumed_;
  bool ends_with_this_;
  Endpoint source_;
  std::vector<std::byte> blob_;
  CompletionScope scope_;
};

}  // namespace gatehouse
