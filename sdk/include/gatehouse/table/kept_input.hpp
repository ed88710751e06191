// What a client's stream has brought and could not be used yet.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace gatehouse {

/// What is used up leaves at the front without moving the rest, until it is half: a byte moves once on average, however
/// little is used at a time. Not thread-safe.
class KeptInput {
 public:
  /// Stands where it is until the next call that is not const.
  [[nodiscard]] Bytes bytes() const noexcept { return Bytes(kept_).subspan(used_); }
  /// The same, for whoever works on it in place.
  [[nodiscard]] MutableBytes bytes() noexcept { return MutableBytes(kept_).subspan(used_); }
  /// Keeps a copy of `input`, which is none of bytes(), in place of what there was. @throws std::bad_alloc
  void assign(Bytes input) {
    if (kept_.capacity() > 2 * std::max(input.size(), kCapacity))
      kept_ = std::vector<std::byte>();  // which "= {}" would not give back
    kept_.assign(input.begin(), input.end());
    used_ = 0;
  }
  /// The memory stays, for the next assign().
  void clear() noexcept {
    kept_.clear();
    used_ = 0;
  }
  /// `size` bytes more are used up.
  void consume(std::size_t size) {
    used_ += size;
    if (used_ < kept_.size() - used_) return;
    drop_used();
    if (kept_.capacity() > 2 * std::max(kept_.size(), kCapacity)) kept_.shrink_to_fit();
  }
  /// Keeps the memory of what is not used up, and no more.
  void trim() {
    drop_used();
    kept_.shrink_to_fit();
  }
  [[nodiscard]] std::size_t memory() const noexcept { return kept_.capacity(); }

 private:
  static constexpr std::size_t kCapacity = 4096;  // of one that has nothing waiting

  void drop_used() {
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
  }

  std::vector<std::byte> kept_;
  std::size_t used_ = 0;
};

}  // namespace gatehouse
