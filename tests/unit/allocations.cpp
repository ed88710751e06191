#include "tests/unit/allocations.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t count = 0;      // of this thread, so far
thread_local std::size_t remaining = 0;  // until one fails; 0 = none does

void* allocate(std::size_t size) noexcept {
  ++count;
  if (remaining != 0 && --remaining == 0) return nullptr;
  return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

// Not inlined, or GCC holds malloc() in one against delete in another. Those of arrays, too: under AddressSanitizer the
// library's would not end here.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const out = allocate(size)) return out;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
[[gnu::noinline]] void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace gatehouse {

std::size_t allocations() noexcept { return count; }

FailingAllocation::FailingAllocation(std::size_t nth) noexcept { remaining = nth; }
FailingAllocation::~FailingAllocation() { remaining = 0; }
bool FailingAllocation::has_failed() const noexcept { return remaining == 0; }

}  // namespace gatehouse
