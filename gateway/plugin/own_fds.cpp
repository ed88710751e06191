#include "gateway/plugin/own_fds.hpp"

#include <charconv>
#include <filesystem>
#include <string>
#include <system_error>

namespace gatehouse {

std::vector<int> own_fds(std::string_view kind) {
  std::vector<int> out;
  std::error_code failure;
  for (std::filesystem::directory_iterator at("/proc/self/fd", failure), end; !failure && at != end;
       at.increment(failure)) {
    std::error_code closed;
    if (!std::filesystem::read_symlink(at->path(), closed).native().starts_with(kind)) continue;
    const std::string number = at->path().filename().string();
    int fd = -1;
    if (std::from_chars(number.data(), number.data() + number.size(), fd).ec == std::errc()) out.push_back(fd);
  }
  return out;
}

}  // namespace gatehouse
