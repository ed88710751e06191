#include "plugins/geneve-relay/client/round_trips.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

// Payload: run 8 | number 4 | 0 on the way there, 1 on the way back | filling
constexpr std::size_t kNumberAt = 8, kWayAt = 12, kFillingAt = 13;
constexpr std::byte kThere{0}, kBack{1};

constexpr std::chrono::milliseconds kFirstEvery = 100ms, kEvery = 2ms, kForLast = 1s;

std::byte filling(std::size_t at) noexcept { return static_cast<std::byte>(at * 7); }

}  // namespace

RoundTrips::RoundTrips(ProbeClient& first, ProbeClient& second, RandomSource& random)
    : first_(first), second_(second), random_(random), in_(65536) {}

void RoundTrips::start(std::size_t count) {
  random_.fill(run_);
  sent_.assign(count, {});
  returned_.assign(count, false);
  times_.clear();
}

void RoundTrips::send(std::uint32_t number, std::size_t size) {
  out_.resize(size);
  const MutableBytes payload = MutableBytes(out_).subspan(kGeneveHeaderSize);
  std::ranges::copy(run_, payload.begin());
  store_big(payload.subspan(kNumberAt), number);
  payload[kWayAt] = kThere;
  for (std::size_t i = kFillingAt; i < payload.size(); ++i) payload[i] = filling(i);
  sent_[number] = steady_now();
  first_.send_data(out_);
}

bool RoundTrips::is_of_this_run(Bytes payload) const noexcept {
  return payload.size() >= kFillingAt && std::ranges::equal(payload.first(run_.size()), run_);
}

bool RoundTrips::is_intact(Bytes payload) const noexcept {
  if (load_big<std::uint32_t>(payload.subspan(kNumberAt)) >= sent_.size()) return false;
  for (std::size_t i = kFillingAt; i < payload.size(); ++i)
    if (payload[i] != filling(i)) return false;
  return true;
}

void RoundTrips::turn_round() {
  while (const auto payload = second_.receive_data(in_)) {
    if (!is_of_this_run(*payload)) continue;
    if (!is_intact(*payload)) {
      ++damaged_;
      continue;
    }
    has_reached_second_ = true;
    out_.resize(kGeneveHeaderSize + payload->size());
    std::ranges::copy(*payload, out_.begin() + kGeneveHeaderSize);
    out_[kGeneveHeaderSize + kWayAt] = kBack;
    second_.send_data(out_);
  }
}

void RoundTrips::take_returned(SteadyTime now) {
  while (const auto payload = first_.receive_data(in_)) {
    if (!is_of_this_run(*payload)) continue;
    if (!is_intact(*payload) || (*payload)[kWayAt] != kBack) {
      ++damaged_;
      continue;
    }
    const auto number = load_big<std::uint32_t>(payload->subspan(kNumberAt));
    if (returned_[number]) continue;
    returned_[number] = true;
    times_.push_back(now - sent_[number]);
  }
}

void RoundTrips::work_until(SteadyTime deadline) {
  const std::array sockets{&first_.bound()->socket, &second_.bound()->socket};
  while (times_.size() < sent_.size() && wait_for_any(sockets, deadline)) {
    turn_round();
    take_returned(steady_now());
  }
}

bool RoundTrips::begin(SteadyTime deadline) {
  start(1);
  while (times_.empty() && steady_now() < deadline) {
    send(0, kLeastDataSize);
    work_until(std::min(deadline, steady_now() + kFirstEvery));
  }
  return !times_.empty();
}

void RoundTrips::run(unsigned count, std::size_t least, std::size_t most) {
  start(count);
  SteadyTime next = steady_now();
  for (unsigned i = 0; i < count; ++i, next += kEvery) {
    send(i, count == 1 ? most : least + (most - least) * i / (count - 1));
    work_until(next + kEvery);
  }
  work_until(steady_now() + kForLast);
  std::ranges::sort(times_);
}

}  // namespace gatehouse::geneve_relay
