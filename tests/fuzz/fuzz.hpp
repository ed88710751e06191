// What every fuzz target shares: the entry point's declaration and a check that also holds in release builds.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace gatehouse {

/// Ends the program if `fact` is false, which the fuzzer reports with the input that did it.
inline void require(bool fact) {
  if (!fact) std::abort();
}

/// Does `task`, which may refuse with a sentence.
template <class Task>
void attempt(Task task) {
  try {
    task();
  } catch (const std::runtime_error& error) {
    require(*error.what() != '\0');
  }
}

inline Bytes fuzz_input(const std::uint8_t* data, std::size_t size) { return std::as_bytes(std::span(data, size)); }

}  // namespace gatehouse
