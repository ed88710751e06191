// A compiled domain list on disk: `lists/<SHA-256 of the content>.names` beside policy.db, written once, never changed.
// Read with pread alone, so that a file cut short under a running gateway is an error and not a signal.
//
// All integers little-endian.
//
//   0   magic "GHNAMES\n"                  8 bytes
//   8   version 1, format (ListFormat)     u32, u32
//   16  entries, exceptions                u64, u64   names
//   32  start of the index                 u64
//   40  CRC-32 of the index                u32
//   44  CRC-32 of bytes 0 to 43            u32
//   48  blocks: ceil(entries / 16) of entries, then ceil(exceptions / 16) of exceptions, each of 16 names but the last:
//           | shared u8 | own u8 | `own` bytes |
//         a name is these bytes, then the last `shared` bytes of the name before it in the block (first one: shared 0)
//       index, up to the end of the file: for each block
//           | start u64 | CRC-32 of the block u32 |
//
// Entries, and exceptions, are in the order of their text read backwards, without repetition.
#pragma once

#include "db/lists/list_format.hpp"
#include "policy/lists/name_set.hpp"

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
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kHeaderSize = 48, kIndexEntrySize = 12, kNamesPerBlock = 16, kLongestName = 253;
inline constexpr std::size_t kLargestBlock = kNamesPerBlock * (2 + kLongestName);
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

  using Visitor = std::function<void(std::string_view name, bool is_exception)>;
  /// Every name: entries, then exceptions. About 0.1 us each; a view is valid during its call. When it throws, the
  /// visitor has already seen the names before the broken place.
  void for_each(const Visitor& visitor) const;

  /// What the list has for exactly this canonical name; an exception counts more. About 50 us: off the packet path.
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
  [[nodiscard]] bool holds(Range range, std::string_view name) const;
  template <class F>
  void each_name(Bytes block, std::size_t names, F&& visit) const;
  [[noreturn]] void broken(std::string_view what) const;

  UniqueFd fd_;
  std::string name_;
  ListFormat format_ = ListFormat::domains;
  std::uint64_t entries_ = 0, exceptions_ = 0, index_ = 0;
  std::uint32_t index_crc_ = 0;
};

}  // namespace gatehouse::db
