#include "plugins/udpgw/reply_queue.hpp"

#include <sys/mman.h>

#include <new>

namespace gatehouse::udpgw {
namespace {

constexpr std::size_t kPooledBlocks = 1024;
constexpr std::size_t kWarmBytes = 256 * 1024;  // of each
constexpr std::size_t kPage = 4096;
constexpr std::size_t kMoveFrom = 8;  // bytes are moved within the block only to win at least 1/8 of it

}  // namespace

Block::Block(std::size_t size) {
  void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  madvise(at, size, MADV_NOHUGEPAGE);  // a few KB of a block are used in most turns: not 2 MB of memory for that
  bytes_ = MutableBytes(static_cast<std::byte*>(at), size);
}

Block::Block(Block&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Block::~Block() {
  if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
}

void Block::forget(std::size_t kept) noexcept {
  const std::size_t from = (kept + kPage - 1) / kPage * kPage;
  if (from < touched) madvise(bytes_.data() + from, bytes_.size() - from, MADV_DONTNEED);
  touched = std::min(from, touched);
}

std::unique_ptr<Block> BlockPool::take(std::size_t capacity) {
  const std::size_t size = capacity + kLargestReply;
  while (!blocks_.empty()) {
    std::unique_ptr<Block> block = std::move(blocks_.back());
    blocks_.pop_back();
    warm_ -= block->touched;
    if (block->bytes().size() == size) return block;  // else of an earlier client_buffer_bytes
  }
  return std::make_unique<Block>(size);
}

void BlockPool::give(std::unique_ptr<Block> block) noexcept {
  if (block->touched > kWarmBytes) block->forget();
  if (blocks_.size() >= kPooledBlocks || warm_ + block->touched > most_warm_) return;
  if (blocks_.capacity() == 0) blocks_.reserve(kPooledBlocks);
  warm_ += block->touched;
  blocks_.push_back(std::move(block));
}

void BlockPool::set_most_warm(std::size_t bytes) noexcept {
  most_warm_ = std::min(bytes, kMostWarm);
  for (; warm_ > most_warm_; blocks_.pop_back()) warm_ -= blocks_.back()->touched;
}

ReplyQueue::~ReplyQueue() { reset(); }

MutableBytes ReplyQueue::room() noexcept {
  if (!block_) {
    try {
      block_ = pool_.take(capacity_);
    } catch (const std::bad_alloc&) {
      return {};
    }
  }
  const MutableBytes bytes = block_->bytes();
  if (bytes.size() - tail_ < kLargestReply) {
    if (dropped_bytes_ >= bytes.size() / kMoveFrom) {
      sweep();
      return room();
    }
    if (first_ < bytes.size() / kMoveFrom) return {};
    block_->touched = bytes.size();
    std::memmove(bytes.data(), &bytes[first_], tail_ - first_);
    tail_ -= first_;
    head_ -= first_;
    first_ = 0;
    if (bytes.size() - tail_ < kLargestReply) return {};
  }
  return bytes.subspan(tail_);
}

void ReplyQueue::reset() noexcept {
  if (!block_) return;
  block_->touched = std::max(block_->touched, tail_);
  pool_.give(std::move(block_));
  first_ = head_ = tail_ = 0;
  forget_dropped();
  dropped_bytes_ = 0;
  ++epoch_;
}

void ReplyQueue::drop(std::uint16_t conid, const QueueShare& share) noexcept {
  std::size_t bytes = bytes_of(share);
  if (bytes == 0) return;
  if (head_ != first_ && conid_of(first_) == conid) bytes -= std::min(bytes, frame_size(first_));  // it goes on
  try {
    dropped_[conid] = pushed_;
    dropped_bytes_ += bytes;
    if (dropped_.size() >= kMostDropped) sweep();
  } catch (const std::bad_alloc&) {  // then they are sent: a late reply, as any network has them
  }
}

void ReplyQueue::sweep() noexcept {
  if (dropped_.empty()) return;
  const MutableBytes bytes = block_->bytes();
  std::size_t from = head_ == first_ ? first_ : first_ + frame_size(first_);
  std::size_t to = from;
  for (std::size_t size; from < tail_; from += size) {
    size = frame_size(from);
    if (is_dropped(from)) {
      ++swept_;
      continue;
    }
    if (to != from) std::memmove(&bytes[to], &bytes[from], size);
    to += size;
  }
  block_->touched = std::max(block_->touched, tail_);
  tail_ = to;
  forget_dropped();
  dropped_bytes_ = 0;
  if (head_ == tail_) reset();
}

/// A table that was large would keep its buckets.
void ReplyQueue::forget_dropped() noexcept {
  constexpr std::size_t kSmall = 64;
  if (dropped_.bucket_count() > kSmall) {
    dropped_ = std::unordered_map<std::uint16_t, std::uint64_t>();  // which "= {}" would not give back
  } else {
    dropped_.clear();
  }
}

void ReplyQueue::trim() noexcept {
  sweep();
  if (block_) cut(tail_);
}

/// What stands behind `end` goes; the rest moves to the front, so that only its pages are left.
void ReplyQueue::cut(std::size_t end) noexcept {
  block_->touched = std::max(block_->touched, tail_);
  tail_ = end;
  if (head_ == tail_) return reset();
  const MutableBytes bytes = block_->bytes();
  std::memmove(bytes.data(), &bytes[first_], tail_ - first_);
  head_ -= first_;
  tail_ -= first_;
  first_ = 0;
  block_->forget(tail_);
}

std::size_t ReplyQueue::clear() noexcept {
  sweep();
  std::size_t frames = 0;
  for (std::size_t at = first_; at < tail_; at += frame_size(at)) ++frames;
  reset();
  return frames;
}

}  // namespace gatehouse::udpgw
