#include "gateway/store/text_arena.hpp"

#include <new>
#include <utility>

namespace gatehouse {

char* TextArena::take(std::size_t size) {
  const std::size_t steps = steps_of(size);
  const std::scoped_lock lock(mutex_);
  if (size > kLargest) {
    auto room = std::make_unique_for_overwrite<char[]>(size);
    char* const out = room.get();
    large_.emplace(out, std::move(room));
    return out;
  }
  if (Free* const free = free_[steps]; free != nullptr) {
    free_[steps] = free->next;
    return reinterpret_cast<char*>(free);
  }
  if (left_ < steps * kStep) add_chunk();
  char* const out = chunks_.back().get() + (kChunk - left_);
  left_ -= steps * kStep;
  return out;
}

/// What is left of the former one is room for a smaller text.
void TextArena::add_chunk() {
  char* const rest = left_ == 0 ? nullptr : chunks_.back().get() + (kChunk - left_);
  chunks_.push_back(std::make_unique_for_overwrite<char[]>(kChunk));
  if (rest != nullptr) keep_free(rest, left_ / kStep);
  left_ = kChunk;
}

void TextArena::give_back(char* room, std::size_t size) noexcept {
  const std::scoped_lock lock(mutex_);
  if (size > kLargest) {
    large_.erase(room);
  } else {
    keep_free(room, steps_of(size));
  }
}

void TextArena::keep_free(char* room, std::size_t steps) noexcept { free_[steps] = new (room) Free{free_[steps]}; }

}  // namespace gatehouse
