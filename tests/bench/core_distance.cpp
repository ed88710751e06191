// How far apart two processors are: what a cache line takes from one to the other and back, in nanoseconds.
//
// Where a benchmark's server and load have a processor each, every byte crosses here. Virtual processors are moved
// about by their host: while two share a last-level cache this is some 100 ns, and several times that while they do
// not, when all that carries large data is slower, too. So a benchmark notes it beside its runs.
//
// usage: core_distance CPU CPU   -> one number on stdout, the median of many short measurements

#include "tests/bench/processor.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

namespace {

constexpr int kMeasurements = 50, kRounds = 2000;

struct alignas(128) Line {
  std::atomic<int> turn{0};
};

/// Takes every odd turn, until it is told to end by a negative one.
void answer(Line& line, int cpu) {
  gatehouse::bench::pin(cpu);
  for (int turn = 0; turn >= 0;)
    if (turn = line.turn.load(std::memory_order_acquire); turn % 2 == 1) line.turn.store(turn + 1);
}

double measure(Line& line) {
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    line.turn.store(2 * i + 1);
    while (line.turn.load(std::memory_order_acquire) != 2 * i + 2) {
    }
  }
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count() / kRounds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: core_distance CPU CPU\n"), 2;
  static Line line;
  gatehouse::bench::pin(std::atoi(argv[1]));
  std::thread other(answer, std::ref(line), std::atoi(argv[2]));
  std::array<double, kMeasurements> taken;
  for (double& one : taken) one = measure(line);
  line.turn.store(-1);
  other.join();
  std::nth_element(taken.begin(), taken.begin() + kMeasurements / 2, taken.end());
  std::printf("%.0f\n", taken[kMeasurements / 2]);
}
