#include "plugins/packet-tunnel/client/transport_command.hpp"

#include <gatehouse/base/error.hpp>

#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <csignal>

#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr int kLooks = 200;                             // at a child that is to end
constexpr timespec kBetweenLooks{0, 10 * 1000 * 1000};  // 10 ms
constexpr int kNotStarted = 127;

[[noreturn]] void become(const char* command, int socket) noexcept {
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::dup2(socket, STDIN_FILENO);
  ::dup2(socket, STDOUT_FILENO);
  ::execl("/bin/sh", "sh", "-c", command, static_cast<char*>(nullptr));
  ::_exit(kNotStarted);
}

}  // namespace

TransportCommand::TransportCommand(const std::string& command) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::runtime_error("the command's stream cannot be made: " + last_system_error().message());
  socket_.reset(ends[0]);
  const UniqueFd theirs(ends[1]);
  child_ = ::fork();
  if (child_ < 0) throw std::runtime_error("the command cannot be started: " + last_system_error().message());
  if (child_ == 0) become(command.c_str(), theirs.get());
  ::setpgid(child_, child_);  // whoever of the two comes first
}

TransportCommand::~TransportCommand() {
  socket_.reset();
  ::kill(-child_, SIGTERM);
  bool is_gone = false;
  for (int looks = 0; looks < kLooks && !is_gone; ++looks) {
    is_gone = ::waitpid(child_, nullptr, WNOHANG) != 0;
    if (!is_gone) ::nanosleep(&kBetweenLooks, nullptr);
  }
  ::kill(-child_, SIGKILL);
  if (!is_gone) ::waitpid(child_, nullptr, 0);
}

}  // namespace gatehouse::packet_tunnel
