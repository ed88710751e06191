// Room for the texts of records by the hundred thousand.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace gatehouse {

/// Texts that stay lie close together here. Among what comes and goes, as on the heap, each would hold a page that
/// could be given back otherwise. Freed room is for texts of the same size, in steps of 8 bytes. Thread-safe; what it
/// has given out lives as long as *this at most.
class TextArena {
 public:
  static constexpr std::size_t kLargest = 1024;  ///< bytes; a larger text has an allocation of its own

  TextArena() = default;
  TextArena(const TextArena&) = delete;
  TextArena& operator=(const TextArena&) = delete;

  /// `size` bytes, 1 or more. Locks; allocates once in 64 KB. @throws std::bad_alloc
  [[nodiscard]] char* take(std::size_t size);
  /// Locks. @param size  that they were taken with
  void give_back(char* room, std::size_t size) noexcept;

 private:
  static constexpr std::size_t kStep = 8, kChunk = std::size_t{1} << 16U;
  struct Free {
    Free* next;
  };
  [[nodiscard]] static constexpr std::size_t steps_of(std::size_t size) noexcept { return (size + kStep - 1) / kStep; }
  void add_chunk();
  void keep_free(char* room, std::size_t steps) noexcept;

  std::mutex mutex_;                                // guards what follows
  std::array<Free*, kLargest / kStep + 1> free_{};  // by size in steps
  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t left_ = 0;  // bytes at the end of the last chunk
  std::unordered_map<char*, std::unique_ptr<char[]>> large_;
};

}  // namespace gatehouse
