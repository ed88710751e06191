#include "gateway/store/text_arena.hpp"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace gatehouse {

/// What a page begins with; its places follow. A free place begins with the number of the next one.
struct TextArena::Page {
  Page *previous = nullptr, *next = nullptr;  // with place for a text of that size
  std::uint16_t steps;                        // of a place
  std::uint16_t used = 0;                     // places
  std::uint16_t begun = 0;                    // places that were ever used
  std::uint16_t free = kNone;                 // the first of those that are free again

  static constexpr std::uint16_t kNone = UINT16_MAX;

  explicit Page(std::size_t place_steps) noexcept : steps(static_cast<std::uint16_t>(place_steps)) {}
  [[nodiscard]] static Page& of(char* room) noexcept {
    return *reinterpret_cast<Page*>(room - reinterpret_cast<std::uintptr_t>(room) % kPage);
  }
  [[nodiscard]] bool is_full() const noexcept { return used == (kPage - sizeof(Page)) / (steps * kStep); }
  [[nodiscard]] char* take() noexcept {
    ++used;
    char* const out = place(free == kNone ? begun : free);
    ASAN_UNPOISON_MEMORY_REGION(out, steps * kStep);
    if (free == kNone) {
      ++begun;
    } else {
      std::memcpy(&free, out, sizeof free);
    }
    return out;
  }
  void give_back(char* room) noexcept {
    --used;
    std::memcpy(room, &free, sizeof free);
    free = static_cast<std::uint16_t>(static_cast<std::size_t>(room - place(0)) / (steps * kStep));
    ASAN_POISON_MEMORY_REGION(room, steps * kStep);
  }

 private:
  [[nodiscard]] char* place(std::size_t number) noexcept {
    return reinterpret_cast<char*>(this + 1) + number * steps * kStep;
  }
};

TextArena::~TextArena() {
  for (void* mapping : mappings_) {
    ASAN_UNPOISON_MEMORY_REGION(mapping, kPagesAtATime * kPage);
    ::munmap(mapping, kPagesAtATime * kPage);
  }
}

char* TextArena::take(std::size_t size) {
  const std::scoped_lock lock(mutex_);
  if (size > kLargest) {
    auto room = std::make_unique_for_overwrite<char[]>(size);
    char* const out = room.get();
    large_.emplace(out, std::move(room));
    return out;
  }
  const std::size_t steps = steps_of(size);
  Page& page = roomy_[steps] != nullptr ? *roomy_[steps] : empty_page(steps);
  char* const out = page.take();
  if (page.is_full()) unlink(page);
  return out;
}

void TextArena::give_back(char* room, std::size_t size) noexcept {
  const std::scoped_lock lock(mutex_);
  if (size > kLargest) {
    large_.erase(room);
    return;
  }
  Page& page = Page::of(room);
  if (page.is_full()) link(page);
  page.give_back(room);
  if (page.used == 0) empty(page);
}

std::size_t TextArena::mapped_bytes() const {
  const std::scoped_lock lock(mutex_);
  return mappings_.size() * kPagesAtATime * kPage;
}

TextArena::Page& TextArena::empty_page(std::size_t steps) {
  if (empty_.empty()) add_pages();
  Page* const out = new (empty_.back()) Page(steps);
  empty_.pop_back();
  cold_ = std::min(cold_, empty_.size());
  link(*out);
  return *out;
}

void TextArena::add_pages() {
  mappings_.reserve(mappings_.size() + 1);
  empty_.reserve((mappings_.size() + 1) * kPagesAtATime);
  void* const begin =
      ::mmap(nullptr, kPagesAtATime * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED) throw std::bad_alloc();
  mappings_.push_back(begin);
  for (std::size_t i = kPagesAtATime; i-- > 0;)
    empty_.push_back(reinterpret_cast<Page*>(static_cast<char*>(begin) + i * kPage));
  cold_ = empty_.size();
}

void TextArena::link(Page& page) noexcept {
  Page*& first = roomy_[page.steps];
  page.previous = nullptr;
  page.next = first;
  if (first != nullptr) first->previous = &page;
  first = &page;
}

void TextArena::unlink(Page& page) noexcept {
  (page.previous != nullptr ? page.previous->next : roomy_[page.steps]) = page.next;
  if (page.next != nullptr) page.next->previous = page.previous;
}

void TextArena::empty(Page& page) noexcept {
  unlink(page);
  empty_.push_back(&page);
  if (empty_.size() - cold_ > 2 * kWarmPages) cool();
}

/// Those that are empty for longest.
void TextArena::cool() noexcept {
  for (std::size_t i = 0; i < kWarmPages; ++i) ::madvise(empty_[cold_++], kPage, MADV_DONTNEED);
}

}  // namespace gatehouse
