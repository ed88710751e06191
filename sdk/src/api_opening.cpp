// The stages of a connection to an HTTP API: its requests, one after the other.
#include <gatehouse/plugin/stream_listeners.hpp>

#include "stream_opening.hpp"

#include <utility>

namespace gatehouse {

void StreamListeners::Opening::read_api_request() {
  if (!may_work(owner_.requests_, kRequestsAtOnce)) return;
  // What has come with the request before is looked at first, then the stream.
  for (bool has_read = false;; has_read = true) {
    if (!head_.empty() && head_.size() >= needed_) {
      ApiRead read = parse_api_request(head_, owner_.largest_body_, listener_->origins);
      if (read.state == ApiRead::State::refusal) return refuse_request(std::move(read.refusal));
      if (read.state == ApiRead::State::request) {
        if (!take_forwarded_for(read.request.forwarded_for)) return;
        head_.erase(head_.begin(), head_.begin() + static_cast<std::ptrdiff_t>(read.request.size));
        request_ = std::move(read.request);
        stage_ = Stage::identity;
        return;
      }
      needed_ = read.needed;
    }
    if (has_read || !read_more(kLongestHttpOpening + owner_.largest_body_ + 1)) return;
  }
}

void StreamListeners::Opening::ask(std::string identity) {
  stage_ = Stage::answer;
  last_active = owner_.context_.loop.now();
  wait_for(0);  // nothing is read meanwhile; a hang-up is told
  goes_on_ = request_->wants_more && ++requests_ < kMostRequests;
  ApiRequest request = std::move(*request_);
  request_.reset();
  owner_.asked_(ApiCall(std::weak_ptr<ApiCall::Line>(std::shared_ptr<ApiCall::Line>(shared_from_this(), this)),
                        listener_, peer_, std::move(identity), std::move(request)));
}

void StreamListeners::Opening::answer(const ApiAnswer& answer) {
  if (is_over_ || stage_ != Stage::answer) return;
  goes_on_ = goes_on_ && owner_.listeners_.contains(listener_->id);
  const std::string text = write_api_answer(answer, goes_on_);
  const Bytes part = bytes_of(text);
  stage_ = Stage::sending;
  last_active = owner_.context_.loop.now();
  if (!layer().put({&part, 1})) return end();
  send();
}

/// What the socket has not taken goes on; then the next request is waited for.
void StreamListeners::Opening::send() {
  if (layer().has_left_over() && !layer().flush()) return end();
  if (layer().has_left_over()) return wait_for(EPOLLOUT);
  if (!goes_on_) return layer().finish(), end();
  begin_next();
}

void StreamListeners::Opening::begin_next() {
  stage_ = Stage::http;
  peer_ = connection_;
  is_asked_ = has_begun_ = false;
  needed_ = 0;
  shown_.clear();
  if (head_.empty()) head_ = {};  // of a request that was longer than most
  last_active = owner_.context_.loop.now();
  wait_for(EPOLLIN);
  if (is_watched_ && (!head_.empty() || (tls_ && tls_->holds_input())))
    owner_.context_.loop.poller().deliver_again(*this, EPOLLIN);
}

void StreamListeners::Opening::wait_for(std::uint32_t events) {
  Poller& poller = owner_.context_.loop.poller();
  if (is_watched_) return poller.modify(socket_.get(), events, *this);
  is_watched_ = poller.add(socket_.get(), events, *this).has_value();
  if (!is_watched_) end();
}

StreamLayer& StreamListeners::Opening::layer() {
  if (tls_) return *tls_;
  if (!plain_) plain_ = std::make_unique<SocketLayer>(socket_.get());
  return *plain_;
}

void StreamListeners::Opening::end() {
  if (is_over_) return;
  const auto alive = shared_from_this();
  leave();
  owner_.openings_.erase(this);
  plain_.reset();
  tls_.reset();
  socket_.reset();
}

void StreamListeners::Opening::end_as_slow() {
  if (stage_ == Stage::answer) {
    goes_on_ = false;
    return answer(ApiAnswer::error(503, "there was no answer in time", std::chrono::seconds(5)));
  }
  if (stage_ == Stage::http && requests_ > 0 && head_.empty()) return end();  // has nothing more to ask
  refuse(Refusal::too_slow, "too slow: " + std::string(name_of(stage_)));
}

}  // namespace gatehouse
