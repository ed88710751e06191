// Memory for tables that are read at random places: in huge pages, so that a read does not wait for the page table as
// well. Thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace gatehouse::policy {

/// Memory of its own from the kernel, which it is asked to back with huge pages; ordinary pages where it has none.
/// @throws std::bad_alloc
[[nodiscard]] void* map_huge_pages(std::size_t bytes);
void unmap_huge_pages(void* memory, std::size_t bytes) noexcept;

/// The standard allocator, but for large pieces.
template <class T>
struct HugePageAllocator {
  using value_type = T;
  static constexpr std::size_t kLarge = std::size_t{4} << 20;  // bytes: two huge pages

  HugePageAllocator() = default;
  template <class Other>
  explicit HugePageAllocator(const HugePageAllocator<Other>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count < kLarge / sizeof(T)) return std::allocator<T>().allocate(count);
    return static_cast<T*>(map_huge_pages(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    if (count < kLarge / sizeof(T)) return std::allocator<T>().deallocate(memory, count);
    unmap_huge_pages(memory, count * sizeof(T));
  }
  bool operator==(const HugePageAllocator&) const = default;
};

template <class T>
using HugePageVector = std::vector<T, HugePageAllocator<T>>;

}  // namespace gatehouse::policy
