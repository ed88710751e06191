#include "policy/lists/huge_pages.hpp"

#include <cstdint>
#include <new>

#include <sys/mman.h>

namespace gatehouse::policy {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;  // of x86-64, and of arm64 with pages of 4 KiB

std::size_t whole_pages(std::size_t bytes) noexcept { return (bytes + kHugePage - 1) / kHugePage * kHugePage; }

}  // namespace

void* map_huge_pages(std::size_t bytes) {
  const std::size_t size = whole_pages(bytes);
  void* const mapped = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  // A huge page begins at a multiple of its size: what lies before the first one and behind the last goes back.
  char* const memory = static_cast<char*>(mapped) + -reinterpret_cast<std::uintptr_t>(mapped) % kHugePage;
  const auto before = static_cast<std::size_t>(memory - static_cast<char*>(mapped));
  if (before != 0) ::munmap(mapped, before);
  ::munmap(memory + size, kHugePage - before);
  ::madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: the kernel may have been built without them
  return memory;
}

void unmap_huge_pages(void* memory, std::size_t bytes) noexcept { ::munmap(memory, whole_pages(bytes)); }

}  // namespace gatehouse::policy
