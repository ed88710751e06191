#include "gateway/conformance/notes.hpp"

#include <unistd.h>

#include <cerrno>

namespace gatehouse::conformance {

void Notes::found(std::string_view id, std::string_view seen) {
  write({{"found", id}, {"seen", seen.substr(0, kMostSeen)}});
}
void Notes::phase(std::string_view what) { write({{"phase", what}}); }
void Notes::fact(std::string_view name, const Json& value) { write({{"fact", name}, {"value", value}}); }
void Notes::skip(std::string_view why) { write({{"skip", why}}); }
void Notes::done() { write({{"done", true}}); }

void Notes::write(const Json& line) {
  const std::string text = secret_ + line.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
  const std::scoped_lock lock(mutex_);
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t put = ::write(fd_, text.data() + at, text.size() - at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) is_cut_off_ = true;
    if (put <= 0) return;
    at += static_cast<std::size_t>(put);
  }
}

}  // namespace gatehouse::conformance
