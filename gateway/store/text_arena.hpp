// Room for the texts of records by the hundred thousand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace gatehouse {

/// Texts that stay lie close together here, in pages for one size each, in steps of 8 bytes. Among what comes and goes,
/// as on the heap, each would hold a page that could be given back otherwise. A page without texts is for those of any
/// size; beyond a few, its memory is the system's again: whoever chooses the sizes of texts, as clients do, gets no
/// more out of it than a page for each that is still there. Thread-safe; what it has given out lives as long as *this
/// at most.
class TextArena {
 public:
  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kLargest = 512;  ///< bytes; a larger text has an allocation of its own

  TextArena() = default;
  ~TextArena();
  TextArena(const TextArena&) = delete;
  TextArena& operator=(const TextArena&) = delete;

  /// `size` bytes, 1 or more. Locks; asks the system for 1 MB at a time. @throws std::bad_alloc, then nothing has
  /// changed
  [[nodiscard]] char* take(std::size_t size);
  /// Locks. @param size  that they were taken with
  void give_back(char* room, std::size_t size) noexcept;
  /// Address space that it has for pages. Locks.
  [[nodiscard]] std::size_t mapped_bytes() const;

 private:
  static constexpr std::size_t kStep = 8, kPagesAtATime = 256;
  static constexpr std::size_t kWarmPages = 64;  // without texts, of which as many again may keep their memory
  struct Page;
  [[nodiscard]] static constexpr std::size_t steps_of(std::size_t size) noexcept { return (size + kStep - 1) / kStep; }
  [[nodiscard]] Page& empty_page(std::size_t steps);
  void add_pages();
  void link(Page& page) noexcept;
  void unlink(Page& page) noexcept;
  void empty(Page& page) noexcept;
  void cool() noexcept;

  mutable std::mutex mutex_;                         // guards what follows
  std::array<Page*, kLargest / kStep + 1> roomy_{};  // by size in steps: a list of pages that have place for one
  std::vector<Page*> empty_;                         // has room for all there are; the last one is taken first
  std::size_t cold_ = 0;                             // the first of these, whose memory is the system's
  std::vector<void*> mappings_;
  std::unordered_map<char*, std::unique_ptr<char[]>> large_;
};

}  // namespace gatehouse
