#include "gateway/plugin/trust.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include "gateway/base/refusal.hpp"
#include "gateway/base/sha256.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

std::string system_words() { return std::strerror(errno); }

/// The user's name, or its number when it has none.
std::string user_name(uid_t uid) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(uid);
}

/// The user's primary group, which may write what the user owns: many systems give each user one of its own.
bool is_own_group(uid_t uid, gid_t gid) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  return getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr && found->pw_gid == gid;
}

void refuse_if_writable_by_others(const fs::path& path, const struct stat& about) {
  const std::string name = path.string();
  if ((about.st_mode & S_IWOTH) != 0) {
    throw Refusal(name + " may be written by everybody: run `chmod o-w " + name + "`");
  }
  if ((about.st_mode & S_IWGRP) != 0 && !is_own_group(about.st_uid, about.st_gid)) {
    throw Refusal(name + " may be written by a group that is not its owner's own: run `chmod g-w " + name + "`");
  }
  if (about.st_uid != 0 && about.st_uid != geteuid()) {
    throw Refusal(name + " belongs to " + user_name(about.st_uid) + ", neither to root nor to " + user_name(geteuid()) +
                  ", who runs the gateway: change its owner");
  }
}

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

/// Writes a file beside `to` and renames it there: what an earlier copy has mapped stays as it is.
void write_copy(const fs::path& to, std::string_view content) {
  const std::string part = to.string() + ".part";
  const UniqueFd fd(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0500));
  if (!fd) throw Refusal("cannot write " + part + ": " + system_words());
  while (!content.empty()) {
    const ssize_t put = write(fd.get(), content.data(), content.size());
    if (put < 0) throw Refusal("cannot write " + part + ": " + system_words());
    content.remove_prefix(static_cast<std::size_t>(put));
  }
  if (rename(part.c_str(), to.c_str()) != 0) throw Refusal("cannot write " + to.string() + ": " + system_words());
}

void make_private_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw Refusal("cannot make the folder " + folder.string() + ": " + failure.message());
  fs::permissions(folder, fs::perms::owner_all, failure);
  if (failure) throw Refusal("cannot make the folder " + folder.string() + " private: " + failure.message());
}

}  // namespace

TrustedFile trust_plugin_file(const fs::path& file, const fs::path& copies) {
  std::error_code failure;
  const fs::path original = fs::canonical(file, failure);
  if (failure) throw Refusal("cannot open the plugin file " + file.string() + ": " + failure.message());

  // The folder is opened first and the file from there, so that what is judged is what is read.
  const fs::path folder = original.parent_path();
  const UniqueFd folder_fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_fd) throw Refusal("cannot open the folder " + folder.string() + ": " + system_words());
  const UniqueFd fd(
      openat(folder_fd.get(), original.filename().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) throw Refusal("cannot open the plugin file " + original.string() + ": " + system_words());

  struct stat about {};
  if (fstat(fd.get(), &about) != 0) throw Refusal("cannot examine " + original.string() + ": " + system_words());
  if (!S_ISREG(about.st_mode)) throw Refusal(original.string() + " is not a regular file, so it is no plugin");
  refuse_if_writable_by_others(original, about);
  if (fstat(folder_fd.get(), &about) != 0) throw Refusal("cannot examine " + folder.string() + ": " + system_words());
  refuse_if_writable_by_others(folder, about);

  const std::string content = read_all(fd.get(), original);
  TrustedFile trusted{original, {}, to_hex(sha256(content))};
  make_private_folder(copies);
  make_private_folder(copies / trusted.sha256);
  trusted.copy = copies / trusted.sha256 / original.filename();
  write_copy(trusted.copy, content);
  return trusted;
}

}  // namespace gatehouse
