// Names gathered in any order with what a list says of them, sorted by their text read backwards and rid of
// repetitions, in little memory: the text, two bytes, and while sorting 16 more. One thread.
#pragma once

#include "policy/lists/list_entry.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace gatehouse::db {

class NameTable {
 public:
  /// @param name  1 to 255 bytes, none of them 0
  void add(std::string_view name, policy::ListEntry entry);

  /// Once, after the last add(). Of a name that was added more than once, the entries become one, as by `|=`.
  void sort();

  /// As added; after sort() without repetitions.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// How many of those added said nothing that others did not say. After sort().
  [[nodiscard]] std::uint64_t repeated() const noexcept { return repeated_; }

  /// Calls visit(name, entry) in order. After sort().
  template <class F>
  void for_each(F&& visit) const {
    for (const Record& record : records_) visit(text(record), entry(record));
  }

  /// Gives every name the entry change(name, entry), in order; those that have none now are gone. After sort().
  template <class F>
  void change_each(F&& change) {
    std::size_t kept = 0;
    for (const Record& record : records_) {
      const policy::ListEntry now = change(text(record), entry(record));
      set_entry(record, now);
      if (now != policy::ListEntry::none) records_[kept++] = record;
    }
    records_.resize(kept);
    size_ = kept;
  }

 private:
  static constexpr unsigned kSizeBits = 8, kChunkBits = 20;
  struct Record {
    std::uint64_t key;    // eight characters, the last one most significant; those before the name's start are 0
    std::uint64_t place;  // where the text begins << kSizeBits | its size
  };
  [[nodiscard]] char* place(const Record& record) const noexcept {
    const std::uint64_t at = record.place >> kSizeBits;
    return chunks_[at >> kChunkBits].get() + (at & ((1U << kChunkBits) - 1));
  }
  [[nodiscard]] std::string_view text(const Record& record) const noexcept {
    return {place(record), record.place & ((1U << kSizeBits) - 1)};
  }
  [[nodiscard]] policy::ListEntry entry(const Record& record) const noexcept {
    const auto what = static_cast<unsigned char>(place(record)[-1]);
    return {static_cast<policy::ListMark>(what & 15), static_cast<policy::ListMark>(what >> 4)};
  }
  void set_entry(const Record& record, policy::ListEntry entry) noexcept { place(record)[-1] = what(entry); }
  [[nodiscard]] static char what(policy::ListEntry entry) noexcept {
    return static_cast<char>(static_cast<unsigned>(entry.at) | static_cast<unsigned>(entry.below) << 4);
  }
  [[nodiscard]] std::uint64_t key(const Record& record, std::size_t passed) const noexcept;
  void make_records();
  void sort(std::size_t begin, std::size_t end, std::size_t passed);

  std::vector<std::unique_ptr<char[]>> chunks_;  // size, entry, text, one after another; size 0 ends it
  std::size_t used_ = 0;                         // of the last chunk
  std::uint64_t size_ = 0, repeated_ = 0;
  std::vector<Record> records_;
};

}  // namespace gatehouse::db
