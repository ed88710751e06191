#include "gateway/conformance/process_state.hpp"

#include <gatehouse/base/clock.hpp>

#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

namespace gatehouse::conformance {

namespace fs = std::filesystem;

ProcessState process_state() {
  ProcessState out;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
  while (const dirent* const entry = folder ? ::readdir(folder.get()) : nullptr) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    std::error_code failure;
    const fs::path target = fs::read_symlink(fs::path("/proc/self/fd") / entry->d_name, failure);
    if (fd != ::dirfd(folder.get())) out.descriptors[fd] = target.string();
  }
  std::error_code failure;
  for (fs::directory_iterator at("/proc/self/task", failure), end; !failure && at != end; at.increment(failure))
    ++out.threads;
  return out;
}

ProcessState settled_state(std::size_t most) {
  const SteadyTime end = steady_now() + std::chrono::seconds(1);
  for (;;) {
    ProcessState now = process_state();
    if (now.threads <= most || steady_now() >= end) return now;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::string new_descriptors(const ProcessState& before, const ProcessState& after) {
  std::map<std::string, unsigned> kinds;
  for (const auto& [fd, target] : after.descriptors) {
    const auto was = before.descriptors.find(fd);
    if (was != before.descriptors.end() && was->second == target) continue;
    const bool is_numbered = target.starts_with("socket:[") || target.starts_with("pipe:[");
    ++kinds[is_numbered ? "a " + target.substr(0, target.find(':')) : target];
  }
  std::string out;
  for (const auto& [kind, count] : kinds) {
    out += (out.empty() ? "" : ", ") + kind;
    if (count > 1) out += " (" + std::to_string(count) + " times)";
  }
  return out.size() > 300 ? out.substr(0, 300) + " ..." : out;
}

MemoryState memory_state() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t pages = 0;
  in >> pages;
  const struct mallinfo2 heap = ::mallinfo2();
  return {heap.uordblks + heap.hblkhd, pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))};
}

}  // namespace gatehouse::conformance
