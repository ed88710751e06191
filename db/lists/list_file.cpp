#include "db/lists/list_file.hpp"

#include <gatehouse/base/endian.hpp>

#include <boost/crc.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>

namespace gatehouse::db {

using namespace list_layout;
using policy::ListEntry;
using policy::ListMark;

namespace list_layout {

std::uint32_t crc32(Bytes bytes) noexcept {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

bool comes_before(std::string_view a, std::string_view b) noexcept {
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend(), [](char x, char y) {
    return static_cast<unsigned char>(x) < static_cast<unsigned char>(y);
  });
}

}  // namespace list_layout

bool is_list_file_name(std::string_view name) noexcept {
  constexpr std::string_view kEnd = ".names";
  if (name.size() != 64 + kEnd.size() || !name.ends_with(kEnd)) return false;
  return name.find_first_not_of("0123456789abcdef") == 64;
}

ListFile::ListFile(const std::filesystem::path& path) : name_(path.string()) {
  fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd_) throw std::system_error(errno, std::system_category(), name_);
  read_header();
}

ListFile::ListFile(UniqueFd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) { read_header(); }

void ListFile::broken(std::string_view what) const {
  throw std::runtime_error(name_ + " " + std::string(what) + ": import the list again");
}

void ListFile::read(MutableBytes out, std::uint64_t at) const {
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::system_error(errno, std::system_category(), name_);
    if (n == 0) broken("is cut short");
    out = out.subspan(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
}

void ListFile::read_header() {
  struct stat found {};
  if (::fstat(fd_.get(), &found) != 0) throw std::system_error(errno, std::system_category(), name_);
  if (!S_ISREG(found.st_mode)) broken("is not a regular file");
  const auto size = static_cast<std::uint64_t>(found.st_size);
  if (size < header_size(kFirstVersion)) broken("is cut short");
  std::array<std::byte, header_size(kVersion)> header{};
  const MutableBytes all(header);
  read(all.first(header_size(kFirstVersion)), 0);
  if (text_of(Bytes(all).first(kMagic.size())) != kMagic) broken("is not a compiled list");
  version_ = load_little<std::uint32_t>(Bytes(all).subspan(8));
  if (version_ != kVersion && version_ != kFirstVersion) broken("is of another version of Gatehouse");
  if (size < header_size(version_)) broken("is cut short");
  const Bytes bytes = all.first(header_size(version_));
  read(all.first(bytes.size()), 0);
  const Bytes checked = bytes.first(bytes.size() - 4);
  if (load_little<std::uint32_t>(bytes.subspan(checked.size())) != crc32(checked)) broken("is damaged (header)");
  const auto format = load_little<std::uint32_t>(bytes.subspan(12));
  if (format < 1 || format > kListFormats.size()) broken("is damaged (format)");
  format_ = static_cast<ListFormat>(format);
  entries_ = load_little<std::uint64_t>(bytes.subspan(16));
  exceptions_ = load_little<std::uint64_t>(bytes.subspan(24));
  index_ = load_little<std::uint64_t>(bytes.subspan(32));
  index_crc_ = load_little<std::uint32_t>(bytes.subspan(40));
  if (entries_ > kMostNames || exceptions_ > kMostNames) broken("is damaged (counts)");
  names_ = version_ == kFirstVersion ? entries_ + exceptions_ : load_little<std::uint64_t>(bytes.subspan(44));
  if (names_ > entries_ + exceptions_) broken("is damaged (counts)");
  if (index_ < header_size(version_) || index_ > size) broken("is damaged or cut short (index)");
  if (size - index_ != blocks() * kIndexEntrySize) broken("is damaged or cut short (length)");
}

bool ListFile::nearest_wins() const noexcept { return version_ != kFirstVersion && format_ != ListFormat::adblock; }

std::uint64_t ListFile::blocks() const noexcept {
  return version_ == kFirstVersion ? blocks_of(entries_) + blocks_of(exceptions_) : blocks_of(names_);
}

std::size_t ListFile::names_in(std::uint64_t block) const noexcept {
  std::uint64_t names = names_, first = 0;
  if (version_ == kFirstVersion) {
    const bool is_exception = block >= blocks_of(entries_);
    names = is_exception ? exceptions_ : entries_;
    first = is_exception ? blocks_of(entries_) : 0;
  }
  return static_cast<std::size_t>(std::min<std::uint64_t>(names - (block - first) * kNamesPerBlock, kNamesPerBlock));
}

/// Of version 1, where it is the block that says it.
ListEntry ListFile::entry_of_block(std::uint64_t block) const noexcept {
  return block < blocks_of(entries_) ? ListEntry::listed : ListEntry::exception;
}

ListEntry ListFile::read_entry(std::byte what) const {
  const ListEntry out{static_cast<ListMark>(what & std::byte{15}), static_cast<ListMark>(what >> 4)};
  if (std::max(out.at, out.below) > ListMark::important_exception || out == ListEntry::none)
    broken("is damaged (name)");
  return out;
}

std::vector<ListFile::Place> ListFile::places(Range range) const {
  const bool to_the_end = range.end == blocks();
  const auto count = static_cast<std::size_t>(range.end - range.begin);
  std::vector<std::byte> raw((count + (to_the_end ? 0 : 1)) * kIndexEntrySize);
  read(raw, index_ + range.begin * kIndexEntrySize);
  std::vector<Place> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes entry = Bytes(raw).subspan(i * kIndexEntrySize);
    const bool is_last = i + 1 == count && to_the_end;
    out[i] = {load_little<std::uint64_t>(entry),
              is_last ? index_ : load_little<std::uint64_t>(entry.subspan(kIndexEntrySize)),
              load_little<std::uint32_t>(entry.subspan(8))};
    const bool sound = out[i].begin >= header_size(version_) && out[i].begin < out[i].end && out[i].end <= index_ &&
                       out[i].end - out[i].begin <= kLargestBlock;
    if (!sound) broken("is damaged (index)");
  }
  return out;
}

/// Calls visit(name, entry) for each name of a block, until it says false.
template <class F>
void ListFile::each_name(Bytes raw, std::uint64_t block, F&& visit) const {
  const bool tells = version_ != kFirstVersion;  // does each name have its entry beside it?
  const std::size_t head = tells ? 3 : 2;
  std::array<char, kLongestName> text;  // a name stands at the end, where what it shares with the next one stays
  std::size_t size = 0;
  for (std::size_t i = names_in(block); i > 0; --i) {
    if (raw.size() < head) broken("is damaged (block)");
    const auto shared = std::to_integer<std::size_t>(raw[0]);
    const auto own = std::to_integer<std::size_t>(raw[1]);
    const ListEntry entry = tells ? read_entry(raw[2]) : entry_of_block(block);
    if (shared > size || own > raw.size() - head || shared + own > kLongestName || shared + own == 0)
      broken("is damaged (name)");
    size = shared + own;
    std::memcpy(text.data() + kLongestName - size, raw.data() + head, own);
    raw = raw.subspan(head + own);
    if (!visit(std::string_view(text.data() + kLongestName - size, size), entry)) return;
  }
  if (!raw.empty()) broken("is damaged (block)");
}

void ListFile::for_each(const Visitor& visitor) const {
  constexpr std::uint64_t kBatch = 256;  // at most 1 MB of blocks
  boost::crc_32_type index_crc;
  std::vector<std::byte> raw;
  std::uint64_t expected = header_size(version_);
  for (Range batch; batch.begin < blocks(); batch.begin = batch.end) {
    batch.end = std::min(batch.begin + kBatch, blocks());
    const std::vector<Place> found = places(batch);
    if (found.front().begin != expected) broken("is damaged (index)");
    expected = found.back().end;
    raw.resize(static_cast<std::size_t>(expected - found.front().begin));
    read(raw, found.front().begin);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::uint64_t block = batch.begin + i;
      const Bytes bytes = Bytes(raw).subspan(static_cast<std::size_t>(found[i].begin - found.front().begin),
                                             static_cast<std::size_t>(found[i].end - found[i].begin));
      if (crc32(bytes) != found[i].crc) broken("is damaged (checksum of a block)");
      std::array<std::byte, kIndexEntrySize> place;
      store_little<std::uint64_t>(place, found[i].begin);
      store_little<std::uint32_t>(MutableBytes(place).subspan(8), found[i].crc);
      index_crc.process_bytes(place.data(), place.size());
      each_name(bytes, block, [&](std::string_view name, ListEntry entry) { return visitor(name, entry), true; });
    }
  }
  if (expected != index_ || index_crc.checksum() != index_crc_) broken("is damaged (checksum of the index)");
}

std::vector<std::byte> ListFile::read_block(std::uint64_t block) const {
  const Place place = places({block, block + 1}).front();
  std::vector<std::byte> raw(static_cast<std::size_t>(place.end - place.begin));
  read(raw, place.begin);
  if (crc32(raw) != place.crc) broken("is damaged (checksum of a block)");
  return raw;
}

ListEntry ListFile::find(Range range, std::string_view name) const {
  while (range.begin < range.end) {  // does not begin after the name: the last such block has it, or none
    const std::uint64_t middle = range.begin + (range.end - range.begin) / 2;
    const std::vector<std::byte> raw = read_block(middle);
    ListEntry found;
    bool is_after = false, passed = false, first = true;
    each_name(raw, middle, [&](std::string_view listed, ListEntry entry) {
      if (listed == name) found = entry;
      passed = found == ListEntry::none && comes_before(name, listed);
      is_after = passed && first;
      first = false;
      return found == ListEntry::none && !passed;
    });
    if (found != ListEntry::none) return found;
    if (passed && !is_after) return {};  // between two names of this block
    if (is_after)
      range.end = middle;
    else
      range.begin = middle + 1;
  }
  return {};
}

ListEntry ListFile::find(std::string_view name) const {
  if (version_ != kFirstVersion) return find({0, blocks()}, name);
  const std::uint64_t first = blocks_of(entries_);
  const ListEntry exception = find({first, blocks()}, name);
  return exception != ListEntry::none ? exception : find({0, first}, name);
}

}  // namespace gatehouse::db
