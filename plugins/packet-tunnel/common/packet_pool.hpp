// Memory for packets that wait, in blocks of a few sizes, kept between two uses. One lane's; not thread-safe.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/packet/ip_packet.hpp>
#include <gatehouse/packet/offload_header.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace gatehouse::packet_tunnel {

/// One packet, or bytes of a stream, in a block.
struct PacketBlock {
  PacketBlock* next = nullptr;  // in whatever list its owner has
  std::uint32_t capacity = 0;   // of bytes()
  std::uint32_t begin = 0;      // of what is in use
  std::uint32_t size = 0;       // bytes of it
  std::uint32_t packets = 1;    // that it is, or will be cut into
  std::uint8_t kind = 0;        // the pool's
  bool is_answer = false;       // made here for the client: neither charged nor counted as carried
  OffloadHeader offload;
  IpPacket facts;
  SteadyTime queued_at{};

  /// Bytes of all packets that it is, or will be cut into, headers included.
  [[nodiscard]] std::uint64_t bytes_of_all() const noexcept {
    return size + (packets - 1) * std::uint64_t{facts.payload};
  }

  /// All of the room, behind this head.
  [[nodiscard]] MutableBytes room() noexcept { return {reinterpret_cast<std::byte*>(this + 1), capacity}; }
  [[nodiscard]] MutableBytes bytes() noexcept { return room().subspan(begin, size); }
};

class PacketPool {
 public:
  /// Room of the blocks, by kind. The last but one holds what a read of the device gives, the last what goes to a
  /// stream at once.
  static constexpr std::array<std::size_t, 5> kRoom = {320, 2048, 16384, 10 + 65535 + 7, 192 * 1024};
  static constexpr std::size_t kLargestPacket = kRoom[3], kOutput = kRoom[4];

  PacketPool() = default;
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;
  ~PacketPool() {
    most_warm_ = 0;
    trim();
  }

  /// A block with room for `size` bytes, kOutput at most. Allocates only where more are in use than ever, or than may
  /// stay warm. @throws std::bad_alloc
  [[nodiscard]] PacketBlock* take(std::size_t size) {
    assert(size <= kOutput);
    std::uint8_t kind = 0;
    while (kRoom[kind] < size) ++kind;
    std::vector<PacketBlock*>& warm = warm_[kind];
    PacketBlock* block = nullptr;
    if (!warm.empty()) {
      block = warm.back();
      warm.pop_back();
      warm_bytes_ -= cost_of(kind);
    } else {
      warm.reserve(++made_[kind]);  // so that give() never allocates
      block = new (::operator new(cost_of(kind))) PacketBlock;
      block->kind = kind;
      block->capacity = static_cast<std::uint32_t>(kRoom[kind]);
    }
    block->next = nullptr;
    block->begin = block->size = 0;
    block->packets = 1;
    block->is_answer = false;
    return block;
  }
  void give(PacketBlock* block) noexcept {
    if (warm_bytes_ + cost_of(block->kind) > most_warm_) return destroy(block);
    warm_bytes_ += cost_of(block->kind);
    warm_[block->kind].push_back(block);
  }

  /// What a block takes of a memory budget.
  [[nodiscard]] static std::size_t cost_of(const PacketBlock& block) noexcept { return cost_of(block.kind); }
  void set_most_warm(std::size_t bytes) noexcept {
    most_warm_ = bytes;
    if (warm_bytes_ > most_warm_) trim();
  }
  [[nodiscard]] std::size_t most_warm() const noexcept { return most_warm_; }

 private:
  static constexpr std::size_t cost_of(std::uint8_t kind) noexcept { return sizeof(PacketBlock) + kRoom[kind]; }
  void destroy(PacketBlock* block) noexcept {
    --made_[block->kind];
    ::operator delete(block);
  }
  void trim() noexcept {
    for (auto& warm : warm_) {
      for (PacketBlock* const block : warm) destroy(block);
      warm.clear();
    }
    warm_bytes_ = 0;
  }

  std::array<std::vector<PacketBlock*>, kRoom.size()> warm_;
  std::array<std::size_t, kRoom.size()> made_{};
  std::size_t warm_bytes_ = 0, most_warm_ = 4 * 1024 * 1024;
};

/// Owns a block.
class PacketBlockPtr {
 public:
  PacketBlockPtr() noexcept = default;
  PacketBlockPtr(PacketPool& pool, PacketBlock* block) noexcept : pool_(&pool), block_(block) {}
  PacketBlockPtr(PacketBlockPtr&& other) noexcept : pool_(other.pool_), block_(std::exchange(other.block_, nullptr)) {}
  PacketBlockPtr& operator=(PacketBlockPtr&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(block_, other.block_);
    return *this;
  }
  ~PacketBlockPtr() { reset(); }

  void reset() noexcept {
    if (block_ != nullptr) pool_->give(std::exchange(block_, nullptr));
  }
  [[nodiscard]] PacketBlock* release() noexcept { return std::exchange(block_, nullptr); }
  [[nodiscard]] PacketBlock* get() const noexcept { return block_; }
  PacketBlock* operator->() const noexcept { return block_; }
  PacketBlock& operator*() const noexcept { return *block_; }
  explicit operator bool() const noexcept { return block_ != nullptr; }

 private:
  PacketPool* pool_ = nullptr;
  PacketBlock* block_ = nullptr;
};

/// The same packet in a block that may wait: its own where that is a large one or no larger than need be, else a copy.
/// @throws std::bad_alloc, and `packet` stays as it is
[[nodiscard]] inline PacketBlockPtr compact(PacketPool& pool, PacketBlockPtr& packet) {
  if (packet->size > PacketPool::kRoom[2]) return std::move(packet);
  PacketBlockPtr copy(pool, pool.take(packet->size));
  std::ranges::copy(packet->bytes(), copy->room().begin());
  copy->size = packet->size;
  copy->offload = packet->offload;
  copy->facts = packet->facts;
  copy->packets = packet->packets;
  copy->is_answer = packet->is_answer;
  return copy;
}

}  // namespace gatehouse::packet_tunnel
