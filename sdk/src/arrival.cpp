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

/// Of a broken stream the next call tells.
void Arrival::answer(const std::string& text) {
  const Bytes part = bytes_of(text);
  static_cast<void>(layer_->put({&part, 1}));
}

std::optional<std::string> Arrival::field(std::string_view name) const {
  if (!http_) return {};
  return find_field(http_->request.fields, name);
}

Stream Arrival::accept(std::span<const HttpField> fields) {
  const bool is_web_socket = http_ && http_->request.is_web_socket;
  const bool is_bare = !layer_;
  if (is_bare && (http_ || !surplus_.empty())) layer_ = std::make_unique<SocketLayer>(socket_.get());
  if (http_) answer(write_http_switch(http_->request, http_->plugin, fields));
  if (!surplus_.empty()) layer_->unread(surplus_);
  if (is_web_socket)
    layer_ = std::make_unique<WebSocketLayer>(std::move(layer_));
  else if (is_bare && layer_ && !layer_->has_left_over() && !layer_->holds_input())
    layer_.reset();  // from here on the socket will do
  return Stream(std::move(socket_), peer_, std::move(layer_));
}

void Arrival::refuse(const HttpRefusal& why) {
  if (http_ && socket_) {
    if (!layer_) layer_ = std::make_unique<SocketLayer>(socket_.get());
    answer(write_http_refusal(why, http_->plugin));
  }
  if (layer_) layer_->finish();
  layer_.reset();
  socket_.reset();
}

}  // namespace gatehouse
