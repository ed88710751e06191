#include "gateway/services/clock_random.hpp"

#include "gateway/base/guarded.hpp"
#include "gateway/base/random.hpp"

#include <time.h>

#include <cstdint>
#include <span>

namespace gatehouse {
namespace {

std::uint64_t read_clock(clockid_t clock) noexcept {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

gh_status fill(void*, std::uint8_t* out, std::size_t size) noexcept {
  return guarded(
      [&]() -> gh_status {
        fill_random(std::as_writable_bytes(std::span(out, size)));
        return GH_OK;
      },
      GH_E_IO);
}

constexpr gh_clock kClock = {sizeof(gh_clock), 0, nullptr, [](void*) noexcept { return read_clock(CLOCK_MONOTONIC); },
                             [](void*) noexcept { return read_clock(CLOCK_REALTIME); }};
constexpr gh_random kRandom = {sizeof(gh_random), 0, nullptr, fill};

}  // namespace

const gh_clock* clock_table() noexcept { return &kClock; }
const gh_random* random_table() noexcept { return &kRandom; }

}  // namespace gatehouse
