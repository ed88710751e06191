// One client's stream: how it says who it is and what it wants, and then its connection or its association. Belongs to
// a Socks5Lane, on whose thread everything happens.
//
//   greeting -> [login] -> request -> [resolving] -> dialing -> tunnel
//                                  \-> association
//   and from anywhere: leaving, until the client has read why
#pragma once

#include "plugins/socks5/server/association.hpp"
#include "plugins/socks5/server/tunnel.hpp"
#include "plugins/socks5/wire/request.hpp"

#include <gatehouse/plugin/arrival.hpp>
#include <gatehouse/plugin/source_table.hpp>
#include <gatehouse/table/memory_budget.hpp>

#include <memory>
#include <optional>
#include <string>

namespace gatehouse::socks5 {

class Socks5Lane;

class Client final : public Readiness,
                     public SourceClient,
                     public MemoryHolder,
                     private Resolver::Waiter,
                     private TunnelOwner {
 public:
  /// @param socket  the stream's, where its bytes are the socket's; else -1
  Client(Socks5Lane& lane, Stream stream, int socket, std::shared_ptr<const Listener> listener, std::string identity);
  ~Client();

  /// Starts to read. False: the stream cannot be watched; destroy the client.
  [[nodiscard]] bool start();
  void on_ready(std::uint32_t events) override;

  /// Takes the limits of the lane's present policy, and judges again what is under way.
  void policy_changed();
  /// Ends what was idle for too long.
  void look_at_clock(SteadyTime now);
  /// Closes everything; the lane destroys the client at the end of the turn.
  void end(std::string_view why);
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// Descriptors in use.
  [[nodiscard]] std::size_t descriptors() const noexcept {
    return 1 + (dialing_ || tunnel_ ? 1 : 0) + (association_ ? Association::kDescriptors : 0);
  }
  std::uint32_t slot = 0;        // in the lane's table
  std::uint64_t generation = 0;  // of the policy that it was judged by

  enum class Stage : std::uint8_t { greeting, login, request, resolving, dialing, tunnel, association, leaving };

 private:
  struct DialSocket final : Readiness {
    explicit DialSocket(Client& owner) noexcept : client(owner) {}
    void on_ready(std::uint32_t events) override { client.dialed(events); }
    Client& client;
  };

  // client.cpp
  void tunnel_active() override;
  void tunnel_settled() override { account(); }
  void tunnel_ended(std::string_view why) override { end(why); }
  void account();
  void give_back() override;
  void count_descriptors() noexcept;
  [[nodiscard]] SteadyTime deadline() const noexcept;

  // client_opening.cpp
  void read_words();
  [[nodiscard]] bool take_word();
  void choose_method(Bytes methods_message, std::size_t size);
  void log_in(std::string_view user, std::string_view password);
  /// Session and policy client; false: refused, and counted.
  [[nodiscard]] bool begin_serving();
  void take_request();
  void associate(const Endpoint& asked);
  void consume(std::size_t size);
  [[nodiscard]] bool say(Bytes words);
  void answer(Reply reply, const Endpoint& bound = {});
  /// Has said its last word: waits until the client has read it.
  void leave(std::string_view why);
  void refuse(Refusal cause, std::string_view why);

  // client_dialing.cpp
  void connect(const Destination& to);
  void resolved(const Addresses& addresses, const Replies& replies) override;
  void dial_next();
  [[nodiscard]] bool dial(const Endpoint& to);
  void dialed(std::uint32_t events);
  void dial_failed(int error);
  void hang_up() noexcept;
  void close_flow() noexcept;
  void open_tunnel();
  void deny(const Verdict& verdict, const Endpoint& to);

  Socks5Lane& lane_;
  Stream stream_;
  const int socket_;
  const std::shared_ptr<const Listener> listener_;
  std::string identity_;
  std::optional<Session> session_;
  std::optional<PolicyClient> policy_;
  Limits limits_;
  Stage stage_ = Stage::greeting;
  bool ended_ = false;
  bool has_flow_ = false;         // counted by policy
  SteadyTime since_;              // in this stage
  std::vector<std::byte> words_;  // what has come and is not used yet
  std::size_t descriptors_ = 0;   // as the lane has counted

  std::string name_;  // that the client asked for
  std::uint16_t port_ = 0;
  Addresses candidates_;
  std::size_t next_ = 0;  // of these
  Endpoint target_;
  Reply failure_ = Reply::host_unreachable;  // what the client is told where no candidate is left
  UniqueFd dialing_;
  DialSocket dial_socket_{*this};
  LaneTimer attempt_;
  std::unique_ptr<Tunnel> tunnel_;
  std::unique_ptr<Association> association_;
};

}  // namespace gatehouse::socks5
