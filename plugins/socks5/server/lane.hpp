// One lane of socks5 at work: its clients, and what they share. On one thread.
#pragma once

#include "plugins/socks5/server/client.hpp"
#include "plugins/socks5/server/counters.hpp"
#include "plugins/socks5/server/datagram_batch.hpp"
#include "plugins/socks5/server/pipe_pool.hpp"
#include "plugins/socks5/server/resolver.hpp"
#include "plugins/socks5/server/settings.hpp"

#include <gatehouse/plugin/budget.hpp>
#include <gatehouse/plugin/connection_log.hpp>
#include <gatehouse/plugin/lane_plugin.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <map>
#include <memory>
#include <vector>

namespace gatehouse::socks5 {

class Socks5Lane final : public LaneWorker {
 public:
  Socks5Lane(const LaneContext& context, std::shared_ptr<const Socks5Settings> settings);
  ~Socks5Lane() override;

  void configure(std::shared_ptr<const Socks5Settings> settings);
  void listen(const std::vector<Listener>& listeners) override;
  void policy_changed(std::uint64_t generation) override;
  void drain(SteadyTime deadline) override;

  // ---- for clients
  [[nodiscard]] const LaneContext& context() const noexcept { return context_; }
  [[nodiscard]] LaneLoop& loop() const noexcept { return context_.loop; }
  [[nodiscard]] SteadyTime now() const noexcept { return context_.loop.now(); }
  [[nodiscard]] const Socks5Settings& settings() const noexcept { return *settings_; }
  /// Which of the egress addresses is that client's.
  [[nodiscard]] static std::size_t egress_of(const StreamPeer& peer) noexcept {
    return hash_value(peer.source.address);
  }
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
  /// Ends clients until there are so many descriptors for another purpose: of the source with most clients the one that
  /// was idle for longest. False: there are none.
  [[nodiscard]] bool make_place(std::size_t descriptors);
  /// Where to read to: much, and little where this turn has read much already, so that nobody waits long for its turn,
  /// and where memory is short, for what is read may have to be kept.
  [[nodiscard]] MutableBytes room_to_read() noexcept;
  [[nodiscard]] std::size_t room_to_splice() const noexcept;
  void did_read(std::size_t bytes) noexcept { read_in_turn_ += bytes; }
  /// What the kernel may hold of one stream and has not sent.
  [[nodiscard]] std::size_t most_unsent() const noexcept;
  static constexpr std::size_t kUsualUnsent = 1024 * 1024;  ///< where there are few: then the system's bound will do
  void destroy_at_end_of_turn(const Client& client) { ended_.push_back(client.slot); }

  void log_opened(const StreamPeer& peer, const Listener& listener, std::string_view identity);
  void log_closed(const StreamPeer& peer, std::string_view why);
  void log_refused(const StreamPeer& peer, const Verdict& why);
  void log_denied(const StreamPeer& peer, std::string_view name, const Endpoint& to, const Verdict& why);

  Counters counters;
  ConnectionLog connections;
  Budget budget;
  MemoryBudget memory;  // of all that waits for clients
  SourceTable sources;
  Identities identities;
  Resolver resolver;
  PipePool pipes;
  DatagramBatch batch;
  std::vector<std::byte> input;  // the stream under work is read into this
  std::size_t sockets = 0;       // descriptors of all clients
  std::size_t name_bytes = 0;    // of datagrams that wait for names

 private:
  /// Makes the client.
  void admit(Arrival arrival);
  [[nodiscard]] std::size_t descriptors() const noexcept {
    return sockets + listeners_.openings() + resolver.descriptors() + pipes.descriptors();
  }
  void judge_again();
  void end_turn();
  void tick();

  LaneContext context_;
  std::shared_ptr<const Socks5Settings> settings_;
  StreamListeners listeners_;
  std::map<std::uint32_t, std::shared_ptr<const Listener>> known_;  // by their ids
  Slab<Client> clients_;
  std::vector<std::uint32_t> ended_;
  std::uint64_t generation_ = 0;
  std::size_t read_in_turn_ = 0;  // bytes
  bool judging_again_ = false;
  std::uint32_t judging_cursor_ = 0;
  bool draining_ = false;
  LaneTimer ticker_;
};

}  // namespace gatehouse::socks5
