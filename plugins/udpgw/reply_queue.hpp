// The replies that wait for one client's stream, as the bytes that will be written: a datagram is received right into
// its place behind its frame header, and all frames of a turn leave by one write. One lane's; not thread-safe.
#pragma once

#include "plugins/udpgw/frame.hpp"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace gatehouse::udpgw {

/// What the kernel may deliver, behind its header: more than a frame can carry, so that it is seen.
inline constexpr std::size_t kLargestReply = kOverheadV6 + 65535;

/// A piece of address space for one queue; only the pages that were touched cost memory.
class Block {
 public:
  explicit Block(std::size_t size);  ///< throws std::bad_alloc
  Block(Block&& other) noexcept;
  Block& operator=(Block&&) = delete;
  ~Block();
  [[nodiscard]] MutableBytes bytes() const noexcept { return bytes_; }
  /// Gives the touched pages back, but for the first `kept` bytes.
  void forget(std::size_t kept = 0) noexcept;

  std::size_t touched = 0;  ///< from the front, since the last forget()

 private:
  MutableBytes bytes_;
};

/// Blocks between two uses, the one used last on top: its pages are warm.
class BlockPool {
 public:
  /// `capacity`: bytes that a block holds beside room for one reply.
  [[nodiscard]] std::unique_ptr<Block> take(std::size_t capacity);
  void give(std::unique_ptr<Block> block) noexcept;
  /// Touched bytes of all blocks in here, at most; never more than kMostWarm.
  void set_most_warm(std::size_t bytes) noexcept;
  [[nodiscard]] std::size_t most_warm() const noexcept { return most_warm_; }

  static constexpr std::size_t kMostWarm = 4 * 1024 * 1024;

 private:
  std::vector<std::unique_ptr<Block>> blocks_;
  std::size_t most_warm_ = kMostWarm;
  std::size_t warm_ = 0;  // touched bytes of all
};

/// The share of one forward in the queue. It is cleared by the queue's running empty, without being visited.
struct QueueShare {
  std::uint32_t bytes = 0;
  std::uint32_t epoch = 0;
};

class ReplyQueue {
 public:
  static constexpr std::size_t kMostDropped = 1024;

  ReplyQueue(BlockPool& pool, std::size_t capacity) noexcept : pool_(pool), capacity_(capacity) {}
  ~ReplyQueue();
  ReplyQueue(const ReplyQueue&) = delete;
  ReplyQueue& operator=(const ReplyQueue&) = delete;

  /// Room of at least kLargestReply bytes behind the last frame, to be written into before push(). Empty when the queue
  /// is full, or there is no memory.
  [[nodiscard]] MutableBytes room() noexcept;
  /// `bytes` of room() have been written to, whatever of it was pushed.
  void touched(std::size_t bytes) noexcept {
    if (block_) block_->touched = std::min(std::max(block_->touched, tail_ + bytes), block_->bytes().size());
  }

  /// May a frame of `size` bytes of a forward with this share be queued? Each forward may hold as much as is still
  /// free (the dynamic threshold of Choudhury and Hahne, 1998): one that floods gets half of the queue, two a third
  /// each, and there is always place for one that does not.
  [[nodiscard]] bool admits(std::size_t size, const QueueShare& share) const noexcept {
    return size + bytes_of(share) <= capacity_ - std::min(capacity_, size_in_use() - dropped_bytes_);
  }
  /// Takes the `size` bytes that were written into room() as one frame.
  void push(std::size_t size, QueueShare& share) noexcept {
    share.bytes = static_cast<std::uint32_t>(bytes_of(share) + size);
    share.epoch = epoch_;
    tail_ += size;
    pushed_ += size;
  }

  [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
  [[nodiscard]] Bytes unsent() const noexcept {
    return empty() ? Bytes() : Bytes(block_->bytes()).subspan(head_, tail_ - head_);
  }
  /// The stream has taken `size` bytes. Calls left(conid, frame size) for each frame that is gone as a whole, unless
  /// the queue is empty now, which clears all shares.
  template <class Left>
  void sent(std::size_t size, Left&& left) noexcept {
    head_ += size;
    if (head_ == tail_) return reset();
    for (std::size_t frame; first_ + (frame = frame_size(first_)) <= head_; first_ += frame)
      left(conid_of(first_), frame);
  }
  /// Bytes that `share` still has in here.
  [[nodiscard]] std::uint32_t bytes_of(const QueueShare& share) const noexcept {
    return share.epoch == epoch_ ? share.bytes : 0;
  }
  void reduce(QueueShare& share, std::size_t by) const noexcept {
    if (share.epoch == epoch_) share.bytes -= static_cast<std::uint32_t>(std::min<std::size_t>(share.bytes, by));
  }

  /// Every frame of `conid` goes that no byte has been sent of; `share` is that of its forward. They stand here until
  /// sweep(), but count for nobody. Constant work, but for a sweep() once in kMostDropped different conids.
  void drop(std::uint16_t conid, const QueueShare& share) noexcept;
  /// Takes out what was dropped: before unsent() goes to a stream. Walks the queue, if there is anything.
  void sweep() noexcept;
  /// How many frames sweep() took out since this was asked last.
  [[nodiscard]] std::size_t take_swept() noexcept { return std::exchange(swept_, 0); }
  /// Drops everything. @return the number of frames that were not sent whole
  std::size_t clear() noexcept;
  /// Drops the newer half, by bytes, and gives the memory back. Calls left(conid, frame size) for each frame that goes.
  /// A frame that has been begun stays. Walks the queue. @return the number of frames
  template <class Left>
  std::size_t halve(Left&& left) noexcept {
    sweep();
    if (empty()) {
      release();
      return 0;
    }
    std::size_t end = head_ == first_ ? first_ : first_ + frame_size(first_);
    for (const std::size_t middle = first_ + (tail_ - first_) / 2; end < middle;) {
      const std::size_t next = end + frame_size(end);
      if (next > middle) break;
      end = next;
    }
    std::size_t frames = 0;
    for (std::size_t at = end; at < tail_; at += frame_size(at), ++frames) left(conid_of(at), frame_size(at));
    cut(end);
    return frames;
  }
  /// Gives back the memory that is not needed for what waits. May move all of it.
  void trim() noexcept;
  /// Gives the memory back if nothing waits: room() was asked for, and then nothing came.
  void release() noexcept {
    if (block_ && empty()) reset();
  }
  /// Bytes of memory behind all this.
  [[nodiscard]] std::size_t memory() const noexcept {
    const std::size_t touched = block_ ? std::max(block_->touched, tail_) : 0;
    return (touched + kPage - 1) / kPage * kPage + dropped_.size() * kDroppedEntry;
  }

 private:
  [[nodiscard]] std::size_t size_in_use() const noexcept { return tail_ - head_; }
  [[nodiscard]] std::size_t frame_size(std::size_t at) const noexcept {
    return kLengthSize + load_little<std::uint16_t>(Bytes(block_->bytes()).subspan(at));
  }
  [[nodiscard]] std::uint16_t conid_of(std::size_t at) const noexcept {
    return load_little<std::uint16_t>(Bytes(block_->bytes()).subspan(at + 3));
  }
  [[nodiscard]] bool is_dropped(std::size_t at) const noexcept {
    const auto found = dropped_.find(conid_of(at));
    return found != dropped_.end() && pushed_ - (tail_ - at) < found->second;
  }
  void reset() noexcept;
  void cut(std::size_t end) noexcept;
  void forget_dropped() noexcept;

  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kDroppedEntry = 64;  // bytes of dropped_

  BlockPool& pool_;
  std::size_t capacity_;
  std::unique_ptr<Block> block_;
  std::size_t first_ = 0;  // where the frame begins that head_ is in
  std::size_t head_ = 0;   // the first unsent byte
  std::size_t tail_ = 0;
  std::uint32_t epoch_ = 1;
  std::uint64_t pushed_ = 0;                                  // bytes, ever: the place of tail_ in all of them
  std::unordered_map<std::uint16_t, std::uint64_t> dropped_;  // conid -> its frames before that place go
  std::size_t dropped_bytes_ = 0;                             // of these frames
  std::size_t swept_ = 0;
};

}  // namespace gatehouse::udpgw
