#include "plugins/packet-tunnel/common/packet_queue.hpp"

#include <gatehouse/packet/packet_edit.hpp>

#include <algorithm>
#include <cmath>

namespace gatehouse::packet_tunnel {
namespace {

/// The control law: signals come the faster the longer it takes (RFC 8289, 5.5).
SteadyTime next_signal(SteadyTime after, std::uint32_t signals) noexcept {
  const double wait = static_cast<double>(PacketQueue::kInterval.count()) / std::sqrt(static_cast<double>(signals));
  return after + Nanoseconds(static_cast<std::int64_t>(wait));
}

}  // namespace

struct PacketQueue::Flow {
  PacketBlock *head = nullptr, *tail = nullptr;
  std::size_t bytes = 0;
  std::int64_t credit = 0;  // bytes that it may send in this turn
  List list = List::none;
  Flow* next = nullptr;  // in that list
  // RFC 8289, 5.3: since when packets wait too long, and when the next one is to be told.
  SteadyTime above_since{};  // + kInterval; zero: they do not
  SteadyTime next_signal{};
  std::uint32_t signals = 0, signals_before = 0;
  bool is_signalling = false;
};

struct PacketQueue::Flows {
  std::array<Flow, kFlows> all;
  struct Ends {
    Flow *first = nullptr, *last = nullptr;
  };
  Ends fresh, old;
};

PacketQueue::PacketQueue(PacketPool& pool) noexcept : pool_(pool) {}
PacketQueue::~PacketQueue() { clear(); }

void PacketQueue::append(List to, Flow& flow) noexcept {
  Flows::Ends& ends = to == List::fresh ? flows_->fresh : flows_->old;
  flow.list = to;
  flow.next = nullptr;
  (ends.last != nullptr ? ends.last->next : ends.first) = &flow;
  ends.last = &flow;
}

void PacketQueue::push(PacketBlockPtr packet, std::uint32_t hash, SteadyTime now) {
  if (!flows_) {
    flows_ = std::make_unique<Flows>();
    memory_ += sizeof(Flows);
  }
  Flow& flow = flows_->all[hash % kFlows];
  packet->queued_at = now;
  packet->next = nullptr;
  flow.bytes += packet->size;
  memory_ += PacketPool::cost_of(*packet);
  ++packets_;
  PacketBlock* const block = packet.release();
  (flow.tail != nullptr ? flow.tail->next : flow.head) = block;
  flow.tail = block;
  if (flow.list != List::none) return;
  flow.credit = kQuantum;
  append(List::fresh, flow);
}

PacketBlock* PacketQueue::take_head(Flow& flow) noexcept {
  PacketBlock* const block = flow.head;
  if (block == nullptr) return nullptr;
  flow.head = block->next;
  if (flow.head == nullptr) flow.tail = nullptr;
  flow.bytes -= block->size;
  memory_ -= PacketPool::cost_of(*block);
  --packets_;
  return block;
}

/// @return how many packets it would have been
std::uint32_t PacketQueue::lose_head(Flow& flow) noexcept {
  PacketBlock* const lost = take_head(flow);
  const std::uint32_t packets = lost->packets;
  pool_.give(lost);
  return packets;
}

/// RFC 8289, 5.4 (dodequeue): has what is at the head waited too long, for an interval?
bool PacketQueue::has_waited(Flow& flow, const PacketBlock& head, SteadyTime now) noexcept {
  if (now - head.queued_at < kTarget || flow.bytes <= static_cast<std::size_t>(kQuantum)) {
    flow.above_since = {};
    return false;
  }
  if (flow.above_since == SteadyTime{}) {
    flow.above_since = now + kInterval;
    return false;
  }
  return now >= flow.above_since;
}

PacketBlock* PacketQueue::take_in_time(Flow& flow, SteadyTime now, Early& early) noexcept {
  // True: the packet at the head is to go; it tells of the congestion, or it has just been lost.
  const auto signal = [&] {
    if (mark_congestion(flow.head->bytes(), flow.head->facts)) {
      ++early.marked;
      return true;
    }
    early.dropped += lose_head(flow);
    return false;
  };
  if (flow.head == nullptr) return nullptr;
  bool is_late = has_waited(flow, *flow.head, now);
  if (flow.is_signalling) {
    if (!is_late) flow.is_signalling = false;
    while (flow.is_signalling && now >= flow.next_signal) {
      ++flow.signals;
      const bool goes = signal();
      flow.next_signal = next_signal(flow.next_signal, flow.signals);
      if (goes) break;
      is_late = flow.head != nullptr && has_waited(flow, *flow.head, now);
      if (!is_late) flow.is_signalling = false;
    }
  } else if (is_late) {
    flow.is_signalling = true;
    // Who was here a little while ago begins where that ended.
    const std::uint32_t recent = flow.signals - flow.signals_before;
    const bool is_recent = recent > 1 && now - flow.next_signal < 16 * kInterval;
    flow.signals = is_recent ? recent : 1;
    flow.signals_before = flow.signals;
    flow.next_signal = next_signal(now, flow.signals);
    static_cast<void>(signal());
  }
  return take_head(flow);
}

PacketBlockPtr PacketQueue::pop(SteadyTime now, Early& early) {
  if (packets_ == 0) return {};
  const auto take_first = [](Flows::Ends& ends) {
    Flow& flow = *ends.first;
    ends.first = flow.next;
    if (ends.first == nullptr) ends.last = nullptr;
    flow.list = List::none;
  };
  for (;;) {
    const bool is_fresh = flows_->fresh.first != nullptr;
    Flows::Ends& ends = is_fresh ? flows_->fresh : flows_->old;
    if (ends.first == nullptr) return {};
    Flow& flow = *ends.first;
    if (flow.credit <= 0) {
      take_first(ends);
      flow.credit += kQuantum;
      append(List::old, flow);
      continue;
    }
    PacketBlock* const block = take_in_time(flow, now, early);
    if (block == nullptr) {
      take_first(ends);
      // One that has become empty goes behind the others once, so that it is not always a new one (RFC 8290, 4.2).
      if (is_fresh && flows_->old.first != nullptr) append(List::old, flow);
      continue;
    }
    flow.credit -= static_cast<std::int64_t>(block->size);
    last_popped_ = &flow;
    return {pool_, block};
  }
}

void PacketQueue::put_back(PacketBlockPtr packet) noexcept {
  Flow& flow = *last_popped_;
  flow.credit += static_cast<std::int64_t>(packet->size);
  flow.bytes += packet->size;
  memory_ += PacketPool::cost_of(*packet);
  ++packets_;
  PacketBlock* const block = packet.release();
  block->next = flow.head;
  flow.head = block;
  if (flow.tail == nullptr) flow.tail = block;
}

std::size_t PacketQueue::drop_to(std::size_t memory) noexcept {
  std::size_t dropped = 0;
  while (memory_ > memory && packets_ != 0) {
    Flow& longest = *std::ranges::max_element(flows_->all, {}, &Flow::bytes);
    // A good part of it at once: looking for the longest costs more than a packet.
    for (const std::size_t enough = longest.bytes / 2; longest.head != nullptr && longest.bytes >= enough;) {
      dropped += lose_head(longest);
      if (memory_ <= memory) return dropped;
    }
  }
  return dropped;
}

std::size_t PacketQueue::clear() noexcept {
  std::size_t dropped = 0;
  if (flows_) {
    for (Flow& flow : flows_->all)
      while (flow.head != nullptr) dropped += lose_head(flow);
    memory_ -= sizeof(Flows);
  }
  flows_.reset();
  last_popped_ = nullptr;
  return dropped;
}

}  // namespace gatehouse::packet_tunnel
