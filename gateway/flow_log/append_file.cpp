#include "gateway/flow_log/append_file.hpp"

#include <gatehouse/base/own_path.hpp>

#include "gateway/base/refusal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace gatehouse {
namespace {

std::string words(int error) { return std::generic_category().message(error); }

void require_own(const std::string& why_not) {
  if (!why_not.empty()) throw Refusal("cannot open the flow log for writing: " + why_not);
}

/// Whoever owns the file reads it, and whoever may write to its folder decides which file it is.
UniqueFd open_file(const std::filesystem::path& path) {
  require_own(why_not_own(path, Groups::any));
  UniqueFd fd = open_or_make(path, O_WRONLY | O_APPEND, 0640);
  struct stat about {};
  if (!fd || ::fstat(fd.get(), &about) != 0) require_own(why_not_opened(path, errno));
  require_own(why_not_own(about, path, 0, Groups::any));  // in /tmp somebody may have been faster
  return fd;
}

}  // namespace

AppendFile::AppendFile(std::filesystem::path path) : path_(std::move(path)), fd_(open_file(path_)) {}

bool AppendFile::was_replaced() const noexcept {
  struct stat named {
  }, held{};
  if (::stat(path_.c_str(), &named) != 0) return errno == ENOENT;
  return ::fstat(fd_.get(), &held) == 0 && (named.st_ino != held.st_ino || named.st_dev != held.st_dev);
}

void AppendFile::follow_the_name() {
  failure_.clear();
  if (!was_replaced()) return;
  try {
    fd_ = open_file(path_);
    torn_ = false;
  } catch (const Refusal& refusal) {
    failure_ = refusal.what();  // better in the old file than nowhere
  }
}

std::uint64_t AppendFile::write(std::string_view lines) {
  follow_the_name();
  bool torn = false;
  while (!lines.empty()) {
    const ssize_t size = torn_ ? ::write(fd_.get(), "\n", 1) : ::write(fd_.get(), lines.data(), lines.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      failure_ = "cannot write to " + path_.string() + ": " + words(errno);
      torn_ = torn_ || torn;
      return static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
    }
    if (std::exchange(torn_, false)) continue;
    torn = lines[static_cast<std::size_t>(size) - 1] != '\n';
    lines.remove_prefix(static_cast<std::size_t>(size));
  }
  return 0;
}

}  // namespace gatehouse
