// A compiled domain list on disk: `lists/<SHA-256 of the content>.names` beside policy.db, written once, never changed.
// Read with pread alone, so that a file cut short under a running gateway is an error and not a signal.
//
// All integers little-endian.
//
//   0   magic "GHNAMES\n"                  8 bytes
//   8   version 2, format (ListFormat)     u32, u32
//   16  entries, exceptions                u64, u64   names that are listed, left alone; some are both
//   32  start of the index                 u64
//   40  CRC-32 of the index                u32
//   44  names                              u64
//   52  CRC-32 of bytes 0 to 51            u32
//   56  ceil(names / 16) blocks, each of 16 names but the last:
//           | shared u8 | own u8 | what u8 | `own` bytes |
//         a name is these bytes, then the last `shared` bytes of the name before it in the block (first one: shared 0);
//         what: policy::ListMark of the name itself, + 16 * that of the names below it
//       index, up to the end of the file: for each block
//           | start u64 | CRC-32 of the block u32 |
//
// Names are in the order of their text read backwards, without repetition.
//
// Version 1, of before, has no `names` (its header ends with the CRC-32 of bytes 0 to 43) and no `what`: a name is an
// entry as the row's `match` says in the first ceil(entries / 16) blocks, and an exception in those behind them, and an
// exception beats all that is listed.
#pragma once

#include "db/lists/list_format.hpp"
#include "policy/lists/list_entry.hpp"

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::db {

namespace list_layout {
inline constexpr std::string_view kMagic = "GHNAMES\n";
inline constexpr std::uint32_t kVersion = 2, kFirstVersion = 1;
inline constexpr std::size_t kIndexEntrySize = 12, kNamesPerBlock = 16, kLongestName = 253;
inline constexpr std::size_t kLargestBlock = kNamesPerBlock * (3 + kLongestName);
[[nodiscard]] constexpr std::size_t header_size(std::uint32_t version) noexcept {
  return version == kFirstVersion ? 48 : 56;
}
inline constexpr std::uint64_t kMostNames = std::uint64_t{1} << 40;
[[nodiscard]] constexpr std::uint64_t blocks_of(std::uint64_t names) noexcept {
  return (names + kNamesPerBlock - 1) / kNamesPerBlock;
}
[[nodiscard]] std::uint32_t crc32(Bytes bytes) noexcept;
/// Does `a`, read backwards, come before `b`?
[[nodiscard]] bool comes_before(std::string_view a, std::string_view b) noexcept;
}  // namespace list_layout

/// Is that what list files are called? Nothing else in the folder is ever opened or deleted.
[[nodiscard]] bool is_list_file_name(std::string_view name) noexcept;

/// Reads a list file. Thread-safe: it has no state but the descriptor. Every call but the plain getters throws
/// std::system_error when the file cannot be read and std::runtime_error when it is broken, with a sentence that says
/// what to do. What is broken anywhere is noticed before a byte of it is used.
class ListFile {
 public:
  explicit ListFile(const std::filesystem::path& path);
  /// @param name  for the sentences
  ListFile(UniqueFd fd, std::string name);

  [[nodiscard]] ListFormat format() const noexcept { return format_; }  ///< what it was imported from
  [[nodiscard]] std::uint64_t entries() const noexcept { return entries_; }
  [[nodiscard]] std::uint64_t exceptions() const noexcept { return exceptions_; }

  /// Of the entries for a name and those above it, does the longest decide? Else exceptions beat what is listed.
  [[nodiscard]] bool nearest_wins() const noexcept;

  using Visitor = std::function<void(std::string_view name, policy::ListEntry entry)>;
  /// Every name, in the file's order. About 0.1 us each; a view is valid during its call. When it throws, the visitor
  /// has already seen the names before the broken place.
  void for_each(const Visitor& visitor) const;

  /// What the list has for exactly this canonical name. About 50 us: off the packet path.
  [[nodiscard]] policy::ListEntry find(std::string_view name) const;

 private:
  struct Range {  // of blocks
    std::uint64_t begin = 0, end = 0;
  };
  struct Place {
    std::uint64_t begin = 0, end = 0;  // in the file
    std::uint32_t crc = 0;
  };
  void read_header();
  void read(MutableBytes out, std::uint64_t at) const;
  [[nodiscard]] std::uint64_t blocks() const noexcept;
  [[nodiscard]] std::vector<Place> places(Range range) const;
  [[nodiscard]] std::size_t names_in(std::uint64_t block) const noexcept;
  [[nodiscard]] std::vector<std::byte> read_block(std::uint64_t block) const;
  [[nodiscard]] policy::ListEntry find(Range range, std::string_view name) const;
  [[nodiscard]] policy::ListEntry entry_of_block(std::uint64_t block) const noexcept;
  [[nodiscard]] policy::ListEntry read_entry(std::byte what) const;
  template <class F>
  void each_name(Bytes raw, std::uint64_t block, F&& visit) const;
  [[noreturn]] void broken(std::string_view what) const;

  UniqueFd fd_;
  std::string name_;
  ListFormat format_ = ListFormat::domains;
  std::uint32_t version_ = list_layout::kVersion;
  std::uint64_t entries_ = 0, exceptions_ = 0, names_ = 0, index_ = 0;
  std::uint32_t index_crc_ = 0;
};

}  // namespace gatehouse::db
