// Stages: a pipe and a child; the child's limits and its folder, then the step; the parent reads lines until the last
// one, the end or the deadline; then whatever is left is killed, and its death is judged.
#include "gateway/conformance/step.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace gatehouse::conformance {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOutputFile = "output";  // beside the child's folder

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kBoundsMemory = false;  // a sanitizer maps terabytes
#else
constexpr bool kBoundsMemory = true;
#endif

void limit(decltype(RLIMIT_CORE) what, rlim_t most) {
  rlimit now{};
  ::getrlimit(what, &now);
  const rlimit wanted{std::min(most, now.rlim_max), std::min(most, now.rlim_max)};
  ::setrlimit(what, &wanted);
}

void limit_child(std::chrono::seconds patience) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setpgid(0, 0);
  std::signal(SIGPIPE, SIG_IGN);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, static_cast<rlim_t>(4 * patience.count()));
  limit(RLIMIT_NOFILE, 4096);
  limit(RLIMIT_FSIZE, rlim_t{256} << 20);
  if (kBoundsMemory) limit(RLIMIT_AS, rlim_t{8} << 30);
}

void redirect_output(const fs::path& scratch) {
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd output(::open((scratch / kOutputFile).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(output.get(), STDOUT_FILENO);
  ::dup2(output.get(), STDERR_FILENO);
}

[[noreturn]] void be_child(const Step& step, const fs::path& scratch, const fs::path& folder, int pipe) {
  Notes notes(pipe);
  limit_child(step.patience);
  redirect_output(scratch);
  ::setenv("TMPDIR", folder.c_str(), 1);
  if (::chdir(folder.c_str()) != 0) notes.skip("cannot enter " + folder.string());
  try {
    step.run(notes);
  } catch (const std::exception& error) {
    notes.found("exception", std::string("an exception came through the border: ") + error.what());
  } catch (...) {
    notes.found("exception", "an exception of unknown type came through the border");
  }
  notes.done();
  ::_exit(0);  // neither destructors of static objects nor threads that are left matter any more
}

/// The parent's side of the pipe.
class Listening {
 public:
  Listening(const Step& step, StepOutcome& out) : step_(step), out_(out) {}

  /// Until the last line, the end of the pipe or the deadline, when it returns false.
  bool listen(int fd, SteadyTime deadline) {
    std::array<char, 4096> block;
    while (!out_.finished) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_now());
      pollfd polled{fd, POLLIN, 0};
      const int ready = ::poll(&polled, 1, static_cast<int>(std::max<std::int64_t>(0, left.count() + 1)));
      if (ready == 0) return false;
      const ssize_t got = ::read(fd, block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      take(std::string_view(block.data(), static_cast<std::size_t>(got)));
    }
    return true;
  }
  [[nodiscard]] const std::string& phase() const noexcept { return phase_; }

  void found(std::string_view id, std::string seen) {
    const auto same = [&](const Finding& one) { return one.kind->id == id && one.seen == seen; };
    if (std::none_of(out_.findings.begin(), out_.findings.end(), same))
      out_.findings.push_back({&finding_kind(id), step_.name, std::move(seen)});
  }

 private:
  void take(std::string_view part) {
    unread_ += part;
    for (std::size_t end = 0; (end = unread_.find('\n')) != std::string::npos; unread_.erase(0, end + 1))
      try_line(unread_.substr(0, end));
  }
  /// A plugin may write to all descriptors that it can find.
  void try_line(const std::string& text) {
    try {
      take_line(Json::parse(text));
    } catch (const std::exception&) {
      found("wrote_to_pipe", "it writes to descriptors that are not its own");
    }
  }
  void take_line(const Json& line) {
    if (line.contains("found")) found(line["found"].get<std::string>(), line["seen"].get<std::string>());
    if (line.contains("phase")) phase_ = line["phase"].get<std::string>();
    if (line.contains("fact")) out_.facts[line["fact"].get<std::string>()] = line["value"];
    if (line.contains("skip")) out_.skipped = line["skip"].get<std::string>();
    if (line.contains("done")) out_.finished = true;
  }

  const Step& step_;
  StepOutcome& out_;
  std::string unread_, phase_;
};

/// What it said last, such as an assertion or a sanitizer's headline.
std::string last_words(const fs::path& scratch) {
  std::ifstream in(scratch / kOutputFile);
  std::string line, last;
  while (std::getline(in, line)) {
    if (line.find("ERROR: ") != std::string::npos || line.find("runtime error: ") != std::string::npos) return line;
    if (!line.empty()) last = line;
  }
  return last.substr(0, 300);
}

/// @param in_time  it was not the deadline that ended it
void judge_death(Listening& parent, const Step& step, int status, bool in_time, const fs::path& scratch) {
  const std::string when = parent.phase().empty() ? "" : " while " + parent.phase();
  const auto found = [&](std::string_view id, std::string seen) {
    const std::string words = last_words(scratch);
    parent.found(step.of_death.empty() ? id : step.of_death, seen + when + (words.empty() ? "" : " (" + words + ')'));
  };
  if (!in_time) return found("hang", "it did not come back within " + std::to_string(step.patience.count()) + " s");
  if (WIFSIGNALED(status))
    return found("crash", std::string("the process died of SIG") + sigabbrev_np(WTERMSIG(status)));
  found("ended_process", "it ended the whole process, with exit code " + std::to_string(WEXITSTATUS(status)));
}

struct Ended {
  int status = 0;
  bool by_itself = true;
};

/// It may have closed its end of the pipe and live on: then it is killed at the deadline.
Ended wait_for(pid_t child, SteadyTime deadline) {
  Ended out;
  while (::waitpid(child, &out.status, WNOHANG) == 0) {
    if (out.by_itself && steady_now() >= deadline) {
      ::kill(-child, SIGKILL);
      out.by_itself = false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return out;
}

}  // namespace

StepOutcome run_step(const Step& step, const fs::path& scratch) {
  const SteadyTime begin = steady_now();
  const fs::path folder = scratch / "work";
  fs::create_directory(folder);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe: " + last_system_error().message());
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no process: " + last_system_error().message());
  if (child == 0) be_child(step, scratch, folder, writing.get());
  ::setpgid(child, child);  // as the child does: whoever is first
  writing.reset();

  StepOutcome out;
  Listening parent(step, out);
  const bool in_time = parent.listen(reading.get(), begin + step.patience);
  if (!in_time || out.finished) ::kill(-child, SIGKILL);
  const auto [status, died] = wait_for(child, begin + step.patience);
  ::kill(-child, SIGKILL);  // what it may have begun
  if (!out.finished) judge_death(parent, step, status, in_time && died, scratch);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  out.took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_now() - begin);
  return out;
}

}  // namespace gatehouse::conformance
