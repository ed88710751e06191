#include "gateway/plugin/trust.hpp"

#include <gatehouse/base/own_path.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include "gateway/base/refusal.hpp"
#include "gateway/base/sha256.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

std::string system_words() { return std::strerror(errno); }

std::string read_all(int fd, const fs::path& path) {
  std::string content;
  std::array<char, 65536> block;
  for (;;) {
    const ssize_t got = read(fd, block.data(), block.size());
    if (got < 0) throw Refusal("cannot read " + path.string() + ": " + system_words());
    if (got == 0) return content;
    content.append(block.data(), static_cast<std::size_t>(got));
  }
}

void write_whole(const fs::path& file, std::string_view content) {
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0500));
  if (!fd) throw Refusal("cannot write " + file.string() + ": " + system_words());
  while (!content.empty()) {
    const ssize_t put = write(fd.get(), content.data(), content.size());
    if (put < 0) throw Refusal("cannot write " + file.string() + ": " + system_words());
    content.remove_prefix(static_cast<std::size_t>(put));
  }
}

/// Makes `copies` with mode 0700, or sees that it is private: not to be written to by others, in none of its parents.
void make_private_folder(const fs::path& copies) {
  refuse_unless(why_not_own(copies));
  std::error_code failure;
  fs::create_directories(copies, failure);
  if (failure) throw Refusal("cannot make the folder " + copies.string() + ": " + failure.message());
  fs::permissions(copies, fs::perms::owner_all, failure);
  if (failure) throw Refusal("cannot make the folder " + copies.string() + " private: " + failure.message());
  refuse_unless(why_not_own(copies));
}

/// In a folder that is made afresh, so that nobody has anything in it open. One of an earlier load gives way: what is
/// mapped of it stays as it is.
void write_copy(const fs::path& to, std::string_view content) {
  const fs::path folder = to.parent_path();
  std::string fresh = (folder.parent_path() / "new-XXXXXX").string();
  if (mkdtemp(fresh.data()) == nullptr) throw Refusal("cannot make the folder " + fresh + ": " + system_words());
  std::error_code failure;
  try {
    write_whole(fresh / to.filename(), content);
    fs::remove_all(folder, failure);
    if (!failure) fs::rename(fresh, folder, failure);
    if (failure) throw Refusal("cannot write " + to.string() + ": " + failure.message());
  } catch (...) {
    fs::remove_all(fresh, failure);
    throw;
  }
}

}  // namespace

TrustedFile trust_plugin_file(const fs::path& file, const fs::path& copies) {
  std::error_code failure;
  const fs::path original = fs::canonical(file, failure);
  if (failure) throw Refusal("cannot open the plugin file " + file.string() + ": " + failure.message());

  refuse_unless(why_not_own(file.parent_path()));  // of the names that lead there, and of the place itself
  refuse_unless(why_not_own(original.parent_path()));
  const UniqueFd fd(open(original.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) throw Refusal("cannot open the plugin file " + original.string() + ": " + system_words());
  struct stat about {};
  if (fstat(fd.get(), &about) != 0) throw Refusal("cannot examine " + original.string() + ": " + system_words());
  if (!S_ISREG(about.st_mode)) throw Refusal(original.string() + " is not a regular file, so it is no plugin");
  refuse_unless(why_not_own(about, original));

  const std::string content = read_all(fd.get(), original);
  TrustedFile trusted{original, {}, to_hex(sha256(content))};
  make_private_folder(copies);
  trusted.copy = copies / trusted.sha256 / original.filename();
  write_copy(trusted.copy, content);
  return trusted;
}

}  // namespace gatehouse
