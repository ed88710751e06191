#include <gatehouse/plugin/arrival.hpp>

#include <gatehouse/net/socket_layer.hpp>
#include <gatehouse/net/web_socket_layer.hpp>

#include <utility>

namespace gatehouse {

Arrival::Arrival(std::shared_ptr<const Listener> listener, UniqueFd socket, StreamPeer peer,
                 std::unique_ptr<StreamLayer> layer, std::optional<Http> http, Bytes surplus, std::string identity)
    : listener_(std::move(listener)),
      socket_(std::move(socket)),
      peer_(peer),
      layer_(std::move(layer)),
      http_(std::move(http)),
      surplus_(surplus.begin(), surplus.end()),
      identity_(std::move(identity)) {}

Stream Arrival::accept() {
  if (!layer_ && (http_ || !surplus_.empty())) {
    auto plain = std::make_unique<SocketLayer>(socket_.get());
    bool is_needed = http_ && http_->request.is_web_socket;
    if (http_) {
      const std::string answer = write_http_switch(http_->request, http_->plugin);
      const Bytes part = bytes_of(answer);
      static_cast<void>(plain->put({&part, 1}));  // of a broken stream the next call tells
    }
    is_needed = is_needed || plain->has_left_over() || !surplus_.empty();
    if (is_needed) layer_ = std::move(plain);
  } else if (http_) {
    const std::string answer = write_http_switch(http_->request, http_->plugin);
    const Bytes part = bytes_of(answer);
    static_cast<void>(layer_->put({&part, 1}));
  }
  if (!surplus_.empty()) layer_->unread(surplus_);
  if (http_ && http_->request.is_web_socket) layer_ = std::make_unique<WebSocketLayer>(std::move(layer_));
  return Stream(std::move(socket_), peer_, std::move(layer_));
}

void Arrival::refuse(const HttpRefusal& why) {
  if (http_ && socket_) {
    if (!layer_) layer_ = std::make_unique<SocketLayer>(socket_.get());
    const std::string answer = write_http_refusal(why, http_->plugin);
    const Bytes part = bytes_of(answer);
    static_cast<void>(layer_->put({&part, 1}));
  }
  if (layer_) layer_->finish();
  layer_.reset();
  socket_.reset();
}

}  // namespace gatehouse
