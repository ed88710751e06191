#include <gatehouse/plugin/api_call.hpp>

#include <utility>

namespace gatehouse {

ApiCall::ApiCall(std::weak_ptr<Line> line, std::shared_ptr<const Listener> listener, StreamPeer peer,
                 std::string identity, ApiRequest request)
    : line_(std::move(line)),
      listener_(std::move(listener)),
      peer_(peer),
      identity_(std::move(identity)),
      request_(std::move(request)) {}

ApiCall::~ApiCall() {
  if (const auto line = line_.lock()) line->hang_up();
}

void ApiCall::answer(const ApiAnswer& answer) {
  if (const auto line = std::exchange(line_, {}).lock()) line->answer(answer);
}

}  // namespace gatehouse
