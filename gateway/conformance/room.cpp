// Three processes. The keeper is the first of the room, which nothing inside can kill and whose end is everybody's end;
// it counts. The parent waits for the guest: whoever kills its own parent has killed that one. The guest is the step.
#include "gateway/conformance/room.hpp"

#include <gatehouse/base/error.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace gatehouse::conformance {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr unsigned long kApart = CLONE_NEWPID | CLONE_NEWNS;
constexpr milliseconds kNap{2};
constexpr milliseconds kGrace{250};  // for what is ending just now

/// What the processes of a room tell, each in one write.
struct Told {
  enum class Kind : int { guest_ended, left_others, is_crowded } kind;
  int status;
};
void tell(int fd, Told what) { static_cast<void>(::write(fd, &what, sizeof what)); }

void die_with_parent() { ::prctl(PR_SET_PDEATHSIG, SIGKILL); }

/// fork(), where possible into namespaces of its own. Of glibc's fork() it lacks what only several threads need.
/// @param flags  set to those of clone() that it has come to
pid_t fork_apart(unsigned long& flags) {
  for (const unsigned long tried : {kApart, kApart | CLONE_NEWUSER, 0UL}) {
    flags = tried;
    const long made = ::syscall(SYS_clone, tried | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (made >= 0) return static_cast<pid_t>(made);
  }
  return -1;
}

/// In a user namespace: our user and group stay what they are.
void map_ids(uid_t user, gid_t group) {
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << user << ' ' << user << " 1";
  std::ofstream("/proc/self/gid_map") << group << ' ' << group << " 1";
}

/// What is mounted here is seen here alone. @return whether /proc shows this room and nothing else
bool furnish(const fs::path& folder) {
  constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  ::mount("tmpfs", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=256m,nr_inodes=64k,mode=700");
  if (::mount("proc", "/proc", "proc", kPlain, nullptr) != 0) return false;
  for (const char* const of_all : {"/proc/sys/kernel", "/proc/sys/vm", "/proc/sys/fs", "/proc/sysrq-trigger"})
    if (::mount(of_all, of_all, nullptr, MS_BIND, nullptr) == 0)  // the whole machine's, unlike /proc/sys/net
      ::mount(nullptr, of_all, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | kPlain, nullptr);
  return true;
}

bool is_crowded() {
  std::error_code failure;
  unsigned count = 0;
  for (fs::directory_iterator at("/proc", failure), end; !failure && at != end; at.increment(failure))
    count += at->path().filename().native().front() <= '9' ? 1 : 0;
  return count > Room::kMostProcesses;
}

/// Whose parents have ended is this process's child; without a namespace it would go on.
void end_orphans() {
  for (unsigned round = 0; round < 50; ++round) {
    std::ifstream children("/proc/thread-self/children");
    bool has_any = false;
    for (pid_t one = 0; children >> one; has_any = true) ::kill(one, SIGKILL);
    if (!has_any) return;
    std::this_thread::sleep_for(kNap);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

/// The parent of the guest.
[[noreturn]] void wait_for_guest(const std::function<void()>& guest, int told) {
  die_with_parent();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(told);
    die_with_parent();
    std::ofstream("/proc/self/oom_score_adj") << 1000;  // memory runs short for it, not for anybody else
    guest();
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  tell(told, {Told::Kind::guest_ended, status});
  ::_exit(0);
}

[[noreturn]] void keep(const std::function<void()>& guest, int told, unsigned long flags, const fs::path& folder,
                       uid_t user, gid_t group) {
  die_with_parent();
  ::setsid();  // no terminal, and a process group of its own
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  if ((flags & CLONE_NEWUSER) != 0) map_ids(user, group);
  const bool has_proc = flags != 0 && furnish(folder);
  const pid_t parent = ::fork();
  if (parent == 0) wait_for_guest(guest, told);

  int status = 0;
  for (pid_t ended = 0; ended != parent;) {
    ended = ::waitpid(-1, &status, WNOHANG);
    if (ended == 0) std::this_thread::sleep_for(kNap);
    if (has_proc && is_crowded()) tell(told, {Told::Kind::is_crowded, 0}), ::_exit(0);
  }
  const SteadyTime end = steady_now() + kGrace;
  pid_t other = 0;
  while ((other = ::waitpid(-1, &status, WNOHANG)) >= 0 && steady_now() < end)
    if (other == 0) std::this_thread::sleep_for(kNap);
  if (other >= 0) tell(told, {Told::Kind::left_others, 0});
  end_orphans();
  ::_exit(0);
}

}  // namespace

Room::Room(const std::function<void()>& guest, const fs::path& folder) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe: " + last_system_error().message());
  told_.reset(ends[0]);
  const UniqueFd writing(ends[1]);
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  unsigned long flags = 0;
  keeper_ = fork_apart(flags);
  if (keeper_ < 0) throw std::runtime_error("no process: " + last_system_error().message());
  if (keeper_ > 0) return;
  told_.reset();
  keep(guest, writing.get(), flags, folder, user, group);
}

void Room::close() noexcept {
  if (keeper_ < 0) return;
  ::kill(-keeper_, SIGKILL);  // its group: all that can be reached where it has no namespace
  ::kill(keeper_, SIGKILL);
  while (::waitpid(keeper_, nullptr, 0) < 0 && errno == EINTR) {
  }
  keeper_ = -1;
}

std::optional<Room::Ending> Room::wait(SteadyTime deadline) {
  Ending out{.killed_others = true};
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_now()).count();
    pollfd polled{told_.get(), POLLIN, 0};
    if (left < 0 || ::poll(&polled, 1, static_cast<int>(left + 1)) == 0) return close(), std::nullopt;
    Told told{};
    const ssize_t got = ::read(told_.get(), &told, sizeof told);
    if (got < 0 && errno == EINTR) continue;
    if (got != sizeof told) return close(), out;
    if (told.kind == Told::Kind::guest_ended) out.killed_others = false, out.status = told.status;
    if (told.kind == Told::Kind::left_others) out.left_others = true;
    if (told.kind == Told::Kind::is_crowded) out.killed_others = false, out.is_crowded = true;
  }
}

}  // namespace gatehouse::conformance
