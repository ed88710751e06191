#include <gatehouse/base/own_path.hpp>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <memory>
#include <string_view>
#include <system_error>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;         // as Linux has it: path_resolution(7)
constexpr uid_t kOverflowUid = 65534;  // proc_sys_kernel(5): of users that a user namespace does not know

std::string words(int error) { return std::generic_category().message(error); }

/// The user's name, or its number when it has none.
std::string user_name(uid_t uid) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(uid);
}

struct Close {
  void operator()(FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<FILE, Close>;

/// Is it the first group of another user? useradd --gid adds nobody to a group's list of members. Of users elsewhere
/// (LDAP) those that the list names are known, no others.
bool is_first_group_of_another(uid_t uid, gid_t gid) {
  const File file(std::fopen("/etc/passwd", "re"));
  if (!file) return true;  // who knows
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  int failure = 0;
  while ((failure = fgetpwent_r(file.get(), &entry, buffer.data(), buffer.size(), &found)) == 0)
    if (entry.pw_gid == gid && entry.pw_uid != uid && entry.pw_uid != 0) return true;
  return failure != ENOENT;  // the end
}

/// A group of the owner's name with no other member: many systems give each user one of its own.
bool is_own_group(uid_t uid, gid_t gid) {
  std::array<char, 4096> buffer, group_buffer;
  passwd user{};
  passwd* found_user = nullptr;
  if (getpwuid_r(uid, &user, buffer.data(), buffer.size(), &found_user) != 0 || found_user == nullptr) return false;
  group entry{};
  group* found = nullptr;
  if (getgrgid_r(gid, &entry, group_buffer.data(), group_buffer.size(), &found) != 0 || found == nullptr) return false;
  const std::string_view name = user.pw_name;
  if (user.pw_gid != gid || name != entry.gr_name) return false;
  for (char** member = entry.gr_mem; *member != nullptr; ++member)
    if (name != *member) return false;
  return !is_first_group_of_another(uid, gid);
}

/// With an access control list, the group's bits are the most that anybody on that list may have: acl(5).
bool has_access_list(const fs::path& path) {
  return ::lgetxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) > 0;
}

/// In a user namespace, root outside it is one of those that have no number; unless a user of it has that one.
bool is_unknown_here(uid_t uid) {
  if (uid != kOverflowUid) return false;
  const File map(std::fopen("/proc/self/uid_map", "re"));
  unsigned inside = 0, outside = 0, count = 0;
  bool any = false;
  while (map && std::fscanf(map.get(), "%u %u %u", &inside, &outside, &count) == 3) {
    if (uid >= inside && uid - inside < count) return false;
    any = true;
  }
  return any;
}

bool is_trusted(uid_t uid) { return uid == 0 || uid == geteuid(); }

/// "/etc/x belongs to bob, not to root, who runs the gateway"
std::string whose(uid_t owner, const std::string& name) {
  const std::string who = geteuid() == 0 ? ", not to root" : ", neither to root nor to " + user_name(geteuid());
  return name + " belongs to " + user_name(owner) + who + ", who runs the gateway";
}

std::string why_not_owned(uid_t owner, const std::string& name) {
  if (is_unknown_here(owner))
    return name + " belongs to a user that this user namespace does not know: map that one, or use a copy";
  return whose(owner, name) + ": change its owner, or move it away";
}

std::string why_writable(const struct stat& about, const fs::path& path, Groups groups) {
  const std::string name = path.string();
  if ((about.st_mode & S_IWOTH) != 0) return name + " may be written by everybody: run `chmod o-w " + name + "`";
  if ((about.st_mode & S_IWGRP) == 0 || groups == Groups::any) return {};
  if (!is_own_group(about.st_uid, about.st_gid))
    return name + " may be written by a group that is not its owner's own: run `chmod g-w " + name + "`";
  if (has_access_list(path))
    return name + " may be written by those on its access control list: run `setfacl -b " + name + "`";
  return {};
}

/// Of something on the way.
std::string why_not_own_way(const struct stat& about, const fs::path& path, Groups groups) {
  if (!is_trusted(about.st_uid) && !is_unknown_here(about.st_uid)) return why_not_owned(about.st_uid, path.string());
  if (S_ISLNK(about.st_mode) || (about.st_mode & S_ISVTX) != 0) return {};
  return why_writable(about, path, groups);
}

void put_first(std::deque<fs::path>& names, const fs::path& path) {
  std::deque<fs::path> more;
  for (const fs::path& name : path.relative_path())
    if (!name.empty() && name != ".") more.push_back(name);
  names.insert(names.begin(), more.begin(), more.end());
}

/// Follows `path`, past folders and links of which each is one's own. @return why one is not, or at_end(stat, name)
template <class AtEnd>
std::string at_the_end_of(const fs::path& path, Groups groups, AtEnd at_end) {
  std::error_code failure;
  std::deque<fs::path> names;
  put_first(names, fs::absolute(path, failure));
  if (failure) return path.string() + ": " + failure.message();
  fs::path at = "/";
  struct stat about {};
  for (int links = 0;;) {
    if (::lstat(at.c_str(), &about) != 0)
      return errno == ENOENT ? std::string() : "cannot examine " + at.string() + ": " + words(errno);
    if (S_ISLNK(about.st_mode)) {
      if (const std::string why = why_not_own_way(about, at, groups); !why.empty()) return why;
      const fs::path target = fs::read_symlink(at, failure);
      if (failure || ++links > kMostLinks) return "cannot follow the symbolic link " + at.string();
      put_first(names, target);
      at = target.is_absolute() ? "/" : at.parent_path();
      continue;
    }
    if (names.empty()) return at_end(about, at);
    if (const std::string why = why_not_own_way(about, at, groups); !why.empty()) return why;
    at = names.front() == ".." ? at.parent_path() : at / names.front();
    names.pop_front();
  }
}

/// What open(2) gave: is it a plain file with one name?
UniqueFd only_plain(UniqueFd file) noexcept {
  struct stat about {};
  if (!file || ::fstat(file.get(), &about) != 0) return {};
  errno = !S_ISREG(about.st_mode) ? ENXIO : EMLINK;
  if (!S_ISREG(about.st_mode) || about.st_nlink > 1) return {};
  return file;
}

}  // namespace

std::string why_not_own(const struct stat& about, const fs::path& path, uid_t also, Groups groups) {
  if (const std::string why = why_writable(about, path, groups); !why.empty()) return why;
  return is_trusted(about.st_uid) || about.st_uid == also ? std::string() : why_not_owned(about.st_uid, path.string());
}

std::string why_not_own(const fs::path& path, Groups groups) {
  return at_the_end_of(
      path, groups, [&](const struct stat& about, const fs::path& end) { return why_not_own(about, end, 0, groups); });
}

std::string why_not_own_way(const fs::path& path) {
  return at_the_end_of(path, Groups::own, [](const struct stat&, const fs::path&) { return std::string(); });
}

std::string why_not_own_file(const fs::path& path, std::string_view remedy, Names names) {
  struct stat about {};
  const std::string name = path.string();
  if (::lstat(path.c_str(), &about) != 0)
    return errno == ENOENT ? std::string() : "cannot examine " + name + ": " + words(errno);
  const auto because = [&](const std::string& what) { return what + ": " + std::string(remedy); };
  if (S_ISLNK(about.st_mode)) return because(name + " is a symbolic link");
  if (!S_ISREG(about.st_mode)) return because(name + " is no regular file");
  if (!is_trusted(about.st_uid)) return because(whose(about.st_uid, name));
  const bool has_another = about.st_nlink > 1 && names == Names::one;
  return has_another ? because(name + " is a file with a second name (a hard link)") : std::string();
}

UniqueFd open_own(const fs::path& path, int flags) noexcept {
  return only_plain(UniqueFd(::open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)));
}

UniqueFd open_or_make(const fs::path& path, int flags, mode_t mode) noexcept {
  for (int attempt = 0;; ++attempt) {
    UniqueFd file = open_own(path, flags);
    if (file || errno != ENOENT) return file;
    file.reset(::open(path.c_str(), flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (file || errno != EEXIST || attempt > 2) return file;  // somebody was faster: then it is there
  }
}

std::string why_not_opened(const fs::path& path, int error) {
  const std::string name = path.string(), remedy = ", where the gateway keeps a file of its own: remove it";
  switch (error) {
    case ELOOP: return name + " is a symbolic link" + remedy;
    case EMLINK: return name + " is a file with a second name (a hard link)" + remedy;
    case EISDIR:
    case ENXIO: return name + " is no regular file" + remedy;
    default: return name + ": " + words(error);
  }
}

}  // namespace gatehouse
