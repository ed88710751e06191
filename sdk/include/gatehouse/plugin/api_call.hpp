// A request that a plugin's HTTP API has been asked, by somebody whose credential is known: it is answered once, now or
// later.
#pragma once

#include <gatehouse/net/http_api.hpp>
#include <gatehouse/net/stream.hpp>
#include <gatehouse/plugin/host.hpp>

#include <memory>
#include <string>

namespace gatehouse {

/// From StreamListeners, whose lane it stays on. May be kept: nothing more is read of its connection until it is
/// answered, or StreamListeners::kPatience is over and the client is told 503. Whoever lets it go without an answer has
/// ended the connection. May outlive the client and the listeners; then answering does nothing.
class ApiCall {
 public:
  /// Where the answer goes; for StreamListeners.
  class Line {
   public:
    /// The call has its answer, and needs the connection no more.
    virtual void answer(const ApiAnswer& answer) = 0;
    /// The call went without one.
    virtual void hang_up() = 0;

   protected:
    ~Line() = default;
  };

  /// For StreamListeners.
  ApiCall(std::weak_ptr<Line> line, std::shared_ptr<const Listener> listener, StreamPeer peer, std::string identity,
          ApiRequest request);
  ApiCall(ApiCall&&) noexcept = default;
  ApiCall& operator=(ApiCall&&) noexcept = default;
  ~ApiCall();

  [[nodiscard]] const ApiRequest& request() const noexcept { return request_; }
  [[nodiscard]] const Listener& listener() const noexcept { return *listener_; }
  [[nodiscard]] const StreamPeer& peer() const noexcept { return peer_; }
  /// "token:bob"; "" = anonymous, which the listener allows.
  [[nodiscard]] const std::string& identity() const noexcept { return identity_; }

  /// Once; from then on this object is of no more use.
  void answer(const ApiAnswer& answer);

 private:
  std::weak_ptr<Line> line_;
  std::shared_ptr<const Listener> listener_;
  StreamPeer peer_;
  std::string identity_;
  ApiRequest request_;
};

}  // namespace gatehouse
