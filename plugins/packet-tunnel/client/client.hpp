// The client: connects, moves packets, comes again where that ends, until it is told to stop.
#pragma once

#include "plugins/packet-tunnel/client/back_off.hpp"
#include "plugins/packet-tunnel/client/dead_peer.hpp"
#include "plugins/packet-tunnel/client/downlink.hpp"
#include "plugins/packet-tunnel/client/host_setup.hpp"
#include "plugins/packet-tunnel/client/network_watch.hpp"
#include "plugins/packet-tunnel/client/uplink.hpp"

#include <optional>

namespace gatehouse::packet_tunnel {

/// One thread's, but for the opener's inside.
class Client final : private Readiness {
 public:
  /// Changes the host: HostSetup. @throws std::runtime_error  a sentence
  Client(const ClientSettings& settings, Console& console);
  ~Client();

  /// Serves until SIGINT, SIGTERM or SIGHUP, which the caller has blocked in all threads; or until every server has
  /// refused us before any has taken us. Then the host is as it was, but for the kill switch: only SIGINT and SIGTERM
  /// end that. @return an exit code
  [[nodiscard]] int run();
  /// Is a connection still being made, for which the destructor would wait?
  [[nodiscard]] bool is_opening() const noexcept { return opener_.is_busy(); }

 private:
  /// SIGINT and the like, by signalfd(2).
  class Signals final : public Readiness {
   public:
    explicit Signals(Client& client);
    ~Signals();

   private:
    void on_ready(std::uint32_t events) override;
    Client& client_;
    UniqueFd fd_;
  };

  void on_ready(std::uint32_t events) override;
  void after_turn();
  void open();
  void opened(Opener::Outcome outcome);
  void connect(OpenedTunnel tunnel);
  void failed(const OpeningFailure& failure);
  void disconnect(const std::string& why);
  void come_again(std::chrono::seconds asked);
  void look_at_network();
  void check_peer();
  void ask_peer();
  void show();
  void stop(int code, bool unblocks);
  [[nodiscard]] std::string explain(const Error& error) const;
  [[nodiscard]] std::optional<Nanoseconds> round_trip() const noexcept;

  const ClientSettings settings_;
  Console& console_;
  const std::string session_id_;
  HostSetup host_;
  TunDevice device_;
  const std::vector<DeviceAddress> addresses_;  // of the device
  LaneLoop loop_;
  DevicePort port_;
  PacketRules rules_;
  Uplink uplink_;
  Downlink downlink_;
  Opener opener_;
  std::optional<OpenedTunnel> tunnel_;
  std::string broken_;  // why the stream is to be given up at the end of this turn; "" = it is not
  std::uint64_t seen_up_ = 0;
  DeadPeer peer_;
  std::optional<SteadyTime> down_since_;  // of a connection that there was
  BackOff back_off_;
  SteadyTime not_before_{};  // what a server has asked for, whatever network we are in
  Signals signals_;
  NetworkWatch network_;
  LaneTimer retry_, peer_timer_, network_timer_, show_timer_;
  bool peer_is_timed_ = false;
  bool was_connected_ = false, is_stopping_ = false, unblocks_ = false;
  int code_ = 0;
  struct Shown {
    SteadyTime at{};
    std::uint64_t up = 0, down = 0;
  } shown_;
};

}  // namespace gatehouse::packet_tunnel
