// Packets that wait for one client: fair between its flows, and with drops, or ECN marks, before it is full, so that
// what waits is short. Flow queueing with controlled delay: RFC 8290 over RFC 8289.
//
// Each flow is hashed into one of kFlows queues, which take turns by bytes; one that has just begun, or sends little,
// goes first: so a small question is not behind a large download. Packets are super-packets, as the device gave them.
#pragma once

#include "plugins/packet-tunnel/common/packet_pool.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace gatehouse::packet_tunnel {

/// Takes packets in at the end of their flow's queue, and out by turns. One lane's; not thread-safe.
class PacketQueue {
 public:
  static constexpr std::size_t kFlows = 64;
  static constexpr Nanoseconds kTarget = std::chrono::milliseconds(5);      ///< that a packet should wait at most
  static constexpr Nanoseconds kInterval = std::chrono::milliseconds(100);  ///< how long it may be more
  static constexpr std::int64_t kQuantum = 1514;                            ///< bytes of a turn

  explicit PacketQueue(PacketPool& pool) noexcept;
  ~PacketQueue();
  PacketQueue(const PacketQueue&) = delete;
  PacketQueue& operator=(const PacketQueue&) = delete;

  [[nodiscard]] bool empty() const noexcept { return packets_ == 0; }
  [[nodiscard]] std::size_t packets() const noexcept { return packets_; }
  /// Bytes of the blocks that are in here, and of the queue itself.
  [[nodiscard]] std::size_t memory() const noexcept { return memory_; }

  /// @param hash  the same for all packets of a flow
  /// Allocates when the first packet comes. @throws std::bad_alloc, and the packet is dropped
  void push(PacketBlockPtr packet, std::uint32_t hash, SteadyTime now);

  /// What calls of pop() have lost, in packets that it would have been cut into, or marked, beside what they gave: they
  /// add to it.
  struct Early {
    std::uint32_t dropped = 0, marked = 0;
  };
  /// The next packet; empty: there is none. What has waited too long for too long is dropped on the way, or marked
  /// where it speaks ECN.
  [[nodiscard]] PacketBlockPtr pop(SteadyTime now, Early& early);
  /// The packet that pop() has given last goes back to the front of its queue: there is no room for it yet.
  void put_back(PacketBlockPtr packet) noexcept;

  /// Drops packets from the head of the longest queue until `memory` is left or less. @return how many, as Early has it
  std::size_t drop_to(std::size_t memory) noexcept;
  /// Drops all, and gives the memory back. @return how many, as Early has it
  std::size_t clear() noexcept;

 private:
  struct Flow;
  struct Flows;
  enum class List : std::uint8_t { none, fresh, old };

  void append(List to, Flow& flow) noexcept;
  PacketBlock* take_head(Flow& flow) noexcept;
  PacketBlock* take_in_time(Flow& flow, SteadyTime now, Early& early) noexcept;
  [[nodiscard]] bool has_waited(Flow& flow, const PacketBlock& head, SteadyTime now) noexcept;
  std::uint32_t lose_head(Flow& flow) noexcept;

  PacketPool& pool_;
  std::unique_ptr<Flows> flows_;  // while there are packets
  Flow* last_popped_ = nullptr;
  std::size_t packets_ = 0, memory_ = 0;
};

}  // namespace gatehouse::packet_tunnel
