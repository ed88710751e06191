#include "plugins/packet-tunnel/client/run_program.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <csignal>

#include <array>
#include <cerrno>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr int kNotFound = 127;
constexpr std::size_t kMostOutput = 4096;

[[noreturn]] void become(char* const* words, int output) noexcept {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execvp(words[0], words);
  ::_exit(kNotFound);
}

}  // namespace

ProgramEnd run_program(const std::vector<std::string>& words) {
  std::vector<char*> raw;
  for (const std::string& word : words) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe: " + last_system_error().message());
  const UniqueFd ours(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no process: " + last_system_error().message());
  if (child == 0) become(raw.data(), theirs.get());
  theirs.reset();
  ProgramEnd out;
  std::array<char, 1024> part;
  for (ssize_t size = 0; (size = ::read(ours.get(), part.data(), part.size())) != 0;) {
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) break;
    if (out.output.size() < kMostOutput) out.output.append(part.data(), static_cast<std::size_t>(size));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  out.was_found = out.code != kNotFound;
  return out;
}

}  // namespace gatehouse::packet_tunnel
