// Names gathered in any order, sorted by their text read backwards and rid of repetitions, in little memory: the text,
// a byte, and while sorting 16 more. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace gatehouse::db {

class NameTable {
 public:
  /// @param name  1 to 255 bytes, none of them 0
  void add(std::string_view name);

  /// Once, after the last add().
  void sort();

  /// As added; after sort() without repetitions.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  /// Calls visit(name) in order. After sort().
  template <class F>
  void for_each(F&& visit) const {
    for (const Record& record : records_) visit(text(record));
  }

 private:
  static constexpr unsigned kSizeBits = 8, kChunkBits = 20;
  struct Record {
    std::uint64_t key;    // eight characters, the last one most significant; those before the name's start are 0
    std::uint64_t place;  // where the text begins << kSizeBits | its size
  };
  [[nodiscard]] std::string_view text(const Record& record) const noexcept {
    const std::uint64_t at = record.place >> kSizeBits;
    return {chunks_[at >> kChunkBits].get() + (at & ((1U << kChunkBits) - 1)), record.place & ((1U << kSizeBits) - 1)};
  }
  [[nodiscard]] std::uint64_t key(const Record& record, std::size_t passed) const noexcept;
  void make_records();
  void sort(std::size_t begin, std::size_t end, std::size_t passed);

  std::vector<std::unique_ptr<char[]>> chunks_;  // size byte and text, one after another; size 0 ends a chunk
  std::size_t used_ = 0;                         // of the last chunk
  std::uint64_t size_ = 0;
  std::vector<Record> records_;
};

}  // namespace gatehouse::db
