#include "tests/bench/processor.hpp"

#include <dirent.h>
#include <sched.h>

#include <fstream>
#include <string>

namespace gatehouse::bench {
namespace {

std::uint64_t processor_ns(int pid) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  std::uint64_t total = 0;
  DIR* tasks = pid > 0 ? opendir(folder.c_str()) : nullptr;
  if (tasks == nullptr) return 0;
  while (const dirent* task = readdir(tasks)) {
    if (task->d_name[0] == '.') continue;
    std::uint64_t one = 0;
    if (std::ifstream(folder + "/" + task->d_name + "/schedstat") >> one) total += one;
  }
  closedir(tasks);
  return total;
}

}  // namespace

std::uint64_t processor_ns(const std::vector<int>& pids) {
  std::uint64_t total = 0;
  for (const int pid : pids) total += processor_ns(pid);
  return total;
}

void pin(int cpu) {
  if (cpu < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace gatehouse::bench
