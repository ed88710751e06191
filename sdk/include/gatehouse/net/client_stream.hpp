// A client's stream to a gateway's listener, opened as the listener wants it: TLS, an HTTP opening, WebSocket. For
// probes of any plugin, and for `gatehouse attach`.
#pragma once

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/net/client_options.hpp>
#include <gatehouse/net/stream.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace gatehouse {

class TlsClientLayer;

/// The server has said nothing, or read nothing, until the deadline.
class ClientTimeout : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The gateway, or a proxy before it, has answered the opening by a refusal; what() is the whole sentence.
class ClientRefused : public std::runtime_error {
 public:
  /// As its members say.
  ClientRefused(const std::string& sentence, unsigned refused_with, std::chrono::seconds after)
      : std::runtime_error(sentence), status(refused_with), retry_after(after) {}
  unsigned status;                   ///< of HTTP
  std::chrono::seconds retry_after;  ///< 0 = it does not say
};

/// Not thread-safe. Its calls block, no longer than until its deadline; whoever has a poll loop uses fd() and layer().
/// Holds a few records or frames, however much goes through it. What breaks it is thrown as a std::runtime_error: a
/// sentence that says what to do where there is something.
class ClientStream {
 public:
  /// A deadline that does not come.
  static constexpr SteadyTime kNever = SteadyTime::max();

  /// Connects, shakes hands, and asks the listener of `plugin` for its protocol; TCP_NODELAY and keep-alives are on.
  /// The deadline is kept but for the look-up of a name, which takes what the system's resolver takes.
  /// @param plugin  whose path is asked for where there is an HTTP opening
  /// @throws boost::system::system_error  nobody can be connected to
  ///         std::invalid_argument        check_client_options() says what
  ///         ClientRefused, ClientTimeout, std::runtime_error
  ClientStream(const ClientOptions& options, const std::string& plugin, SteadyTime deadline = kNever);
  /// The same over a socket that somebody else has connected; the address in `options` is a name for it alone.
  ClientStream(UniqueFd socket, const ClientOptions& options, const std::string& plugin, SteadyTime deadline = kNever);
  /// A stream of bare bytes over a connected socket, which it makes non-blocking.
  explicit ClientStream(UniqueFd socket);
  ClientStream(ClientStream&&) noexcept = default;
  ClientStream& operator=(ClientStream&&) = delete;
  /// Closes it; a server that is still there is told of the end in order.
  ~ClientStream();

  /// Of all calls that follow.
  void set_deadline(SteadyTime deadline) noexcept { deadline_ = deadline; }
  /// Until all of it has been taken, by the layers or the socket.
  void write_all(Bytes in);
  /// @param out  not empty @return 0: the server has ended its side
  [[nodiscard]] std::size_t read_some(MutableBytes out);
  /// Ends our side behind all that was written; the server's can still be read.
  void finish();

  /// What a handshake came to.
  struct Tls {
    std::string version;  ///< "TLSv1.3"
    std::string cipher;   ///< "TLS_AES_128_GCM_SHA256"
  };
  [[nodiscard]] std::optional<Tls> tls() const;
  [[nodiscard]] bool has_opening() const noexcept { return has_opening_; }
  /// What the server has said in its answer to the opening, beyond what the opening itself needs.
  [[nodiscard]] std::optional<std::string> answer_field(std::string_view name) const;

  /// The socket, which does not block, to be polled.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// The outermost layer, for whoever has a poll loop: valid as long as this stream.
  [[nodiscard]] StreamLayer& layer() noexcept { return *layer_; }
  /// The stream, opened as it is, for a loop that never blocks. Nothing else is called on this object afterwards.
  [[nodiscard]] Stream take_stream();
  /// What one of the layer's errors means, as a sentence.
  [[nodiscard]] std::string explain(const Error& error) const;

 private:
  void shake_hands(const ClientOptions& options);
  void open(const ClientOptions& options, const std::string& plugin);
  void open_http(const ClientOptions& options, const std::string& plugin);
  /// Until the socket is ready, or what is left over could be sent.
  void wait(short events);
  [[noreturn]] void fail(const Error& error) const;

  std::string server_;  // as it was named
  SteadyTime deadline_ = kNever;
  UniqueFd fd_;
  std::unique_ptr<StreamLayer> layer_;
  TlsClientLayer* tls_ = nullptr;  // of layer_
  bool has_opening_ = false;
  std::vector<std::pair<std::string, std::string>> answer_fields_;
};

}  // namespace gatehouse
