// Stages: a pipe and a child in a room of its own; the child's limits and its folder, then the step; the parent reads
// lines until the last one, the end or the deadline; then the room is closed, and how it ended is judged.
#include "gateway/conformance/step.hpp"

#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include "gateway/base/printable.hpp"
#include "gateway/base/random.hpp"
#include "gateway/base/sha256.hpp"
#include "gateway/conformance/room.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace gatehouse::conformance {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOutputFile = "output";  // beside the child's folder
constexpr int kCutOff = 99;                    // exit code: the child could not tell what it has found
constexpr std::size_t kMostFindings = 50;      // of one step

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
  std::signal(SIGPIPE, SIG_IGN);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, static_cast<rlim_t>(4 * patience.count()));
  limit(RLIMIT_NOFILE, 4096);
  limit(RLIMIT_FSIZE, rlim_t{64} << 20);
  if (kBoundsMemory) limit(RLIMIT_AS, rlim_t{8} << 30);
}

void redirect_output(const fs::path& scratch) {
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd output(::open((scratch / kOutputFile).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(output.get(), STDOUT_FILENO);
  ::dup2(output.get(), STDERR_FILENO);
}

/// From now on exit() only says what it was called with: it does not destroy static objects under the threads that have
/// them, which would be a crash in the place of what there is to be found.
void end_at_once_on_exit() noexcept {
  static_cast<void>(::on_exit(
      [](int status, void*) {
        static_cast<void>(std::fflush(nullptr));
        ::_exit(status);
      },
      nullptr));
}

[[noreturn]] void be_child(const Step& step, const fs::path& scratch, const fs::path& folder, int pipe,
                           const std::string& secret) {
  Notes notes(pipe, secret);
  limit_child(step.patience);
  redirect_output(scratch);
  end_at_once_on_exit();
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
  ::_exit(notes.is_cut_off() ? kCutOff : 0);  // static objects and threads that are left do not matter any more
}

/// The parent's side of the pipe.
class Listening {
 public:
  Listening(const Step& step, std::string secret, StepOutcome& out)
      : step_(step), secret_(std::move(secret)), out_(out) {}

  /// Until the last line, the end of the pipe or the deadline, when it returns false.
  bool listen(int fd, SteadyTime deadline) {
    std::array<char, 4096> block;
    while (!out_.finished) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_now()).count();
      pollfd polled{fd, POLLIN, 0};
      if (left < 0 || ::poll(&polled, 1, static_cast<int>(left + 1)) == 0) return false;  // also where it never pauses
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
    if (out_.findings.size() < kMostFindings && std::none_of(out_.findings.begin(), out_.findings.end(), same))
      out_.findings.push_back({&finding_kind(id), step_.name, std::move(seen)});
  }

 private:
  void take(std::string_view part) {
    unread_ += part;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = unread_.find('\n', begin)) != std::string::npos; begin = end + 1)
      try_line(std::string_view(unread_).substr(begin, end - begin));
    unread_.erase(0, begin);
    if (unread_.size() <= Notes::kMostBytes) return;
    try_line(unread_);
    unread_.clear();
  }
  /// A plugin may write to all descriptors that it can find.
  void try_line(std::string_view text) {
    try {
      if (text.starts_with(secret_)) return take_line(Json::parse(text.substr(secret_.size())));
    } catch (const std::exception&) {  // it has written into the midst of ours
    }
    found("wrote_to_pipe", "it writes to descriptors that are not its own");
  }
  void take_line(const Json& line) {
    if (line.contains("found")) found(line["found"].get<std::string>(), line["seen"].get<std::string>());
    if (line.contains("phase")) phase_ = line["phase"].get<std::string>();
    if (line.contains("fact")) out_.facts[line["fact"].get<std::string>()] = line["value"];
    if (line.contains("skip")) out_.skipped = line["skip"].get<std::string>();
    if (line.contains("done")) out_.finished = true;
  }

  const Step& step_;
  const std::string secret_;
  StepOutcome& out_;
  std::string unread_, phase_;
};

/// What it said last, such as an assertion, or a sanitizer's headline; of endless output what is at its begin.
std::string last_words(const fs::path& scratch) {
  std::string text(65536, 0);
  std::ifstream in(scratch / kOutputFile, std::ios::binary);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  std::istringstream lines(text.substr(0, static_cast<std::size_t>(in.gcount())));
  std::string line, last;
  while (std::getline(lines, line)) {
    if (!line.empty()) last = line;
    if (line.find("ERROR: ") != std::string::npos || line.find("runtime error: ") != std::string::npos) break;
  }
  return printable(last.substr(0, 300));
}

/// @param ending  nothing: it was ended at the deadline
void judge_death(Listening& parent, const Step& step, const std::optional<Room::Ending>& ending,
                 const fs::path& scratch) {
  const std::string when = parent.phase().empty() ? "" : " while " + parent.phase();
  const auto found = [&](std::string_view id, std::string seen) {
    const std::string words = last_words(scratch);
    parent.found(step.of_death.empty() ? id : step.of_death, seen + when + (words.empty() ? "" : " (" + words + ')'));
  };
  if (!ending) return found("hang", "it did not come back within " + std::to_string(step.patience.count()) + " s");
  if (ending->is_crowded || ending->killed_others) return;  // which are said anyway
  if (WIFSIGNALED(ending->status))
    return found("crash", std::string("the process died of SIG") + sigabbrev_np(WTERMSIG(ending->status)));
  if (WEXITSTATUS(ending->status) == kCutOff) return found("closed_pipe", "it closes descriptors that are not its own");
  found("ended_process", "it ended the whole process, with exit code " + std::to_string(WEXITSTATUS(ending->status)));
}

void judge_company(Listening& parent, const Room::Ending& ending) {
  if (ending.killed_others) parent.found("killed_others", "it ends processes that are not its own");
  if (ending.is_crowded)
    parent.found("leaked_processes", "it begins more than " + std::to_string(Room::kMostProcesses) + " processes");
  if (ending.left_others) parent.found("leaked_processes", "a process that it has begun goes on behind its end");
}

std::string make_secret() {
  Sha256 bytes;  // as many as it has
  fill_random(bytes);
  return to_hex(bytes);
}

}  // namespace

StepOutcome run_step(const Step& step, const fs::path& scratch) {
  const SteadyTime begin = steady_now(), deadline = begin + step.patience;
  const fs::path folder = scratch / "work";
  fs::create_directory(folder);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe: " + last_system_error().message());
  UniqueFd reading(ends[0]), writing(ends[1]);
  const std::string secret = make_secret();
  const auto guest = [&] {
    reading.reset();
    be_child(step, scratch, folder, writing.get(), secret);
  };
  Room room(guest, folder);
  writing.reset();

  StepOutcome out;
  Listening parent(step, secret, out);
  std::optional<Room::Ending> ending;  // none: the deadline
  if (parent.listen(reading.get(), deadline)) ending = room.wait(deadline + std::chrono::seconds(1));
  room.close();
  out.hung = !ending;  // also where it has told everything, and something of the room stands still
  if (ending) judge_company(parent, *ending);
  if (!out.finished || out.hung) judge_death(parent, step, ending, scratch);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  out.took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_now() - begin);
  return out;
}

}  // namespace gatehouse::conformance
