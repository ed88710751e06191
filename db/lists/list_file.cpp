#include "db/lists/list_file.hpp"

#include <gatehouse/base/endian.hpp>

#include <boost/crc.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>

namespace gatehouse::db {

using namespace list_layout;

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
  if (size < kHeaderSize) broken("is cut short");
  std::array<std::byte, kHeaderSize> header{};
  read(header, 0);
  const Bytes bytes(header);
  if (text_of(bytes.first(kMagic.size())) != kMagic) broken("is not a compiled list");
  if (load_little<std::uint32_t>(bytes.subspan(8)) != kVersion) broken("is of another version of Gatehouse");
  if (load_little<std::uint32_t>(bytes.subspan(44)) != crc32(bytes.first(44))) broken("is damaged (header)");
  const auto format = load_little<std::uint32_t>(bytes.subspan(12));
  if (format < 1 || format > kListFormats.size()) broken("is damaged (format)");
  format_ = static_cast<ListFormat>(format);
  entries_ = load_little<std::uint64_t>(bytes.subspan(16));
  exceptions_ = load_little<std::uint64_t>(bytes.subspan(24));
  index_ = load_little<std::uint64_t>(bytes.subspan(32));
  index_crc_ = load_little<std::uint32_t>(bytes.subspan(40));
  if (entries_ > kMostNames || exceptions_ > kMostNames) broken("is damaged (counts)");
  if (index_ < kHeaderSize || index_ > size) broken("is damaged or cut short (index)");
  if (size - index_ != blocks() * kIndexEntrySize) broken("is damaged or cut short (length)");
}

std::uint64_t ListFile::blocks() const noexcept { return blocks_of(entries_) + blocks_of(exceptions_); }

std::size_t ListFile::names_in(std::uint64_t block) const noexcept {
  const std::uint64_t first = blocks_of(entries_);
  const std::uint64_t names = block < first ? entries_ : exceptions_;
  const std::uint64_t before = (block < first ? block : block - first) * kNamesPerBlock;
  return static_cast<std::size_t>(std::min<std::uint64_t>(names - before, kNamesPerBlock));
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
    const bool sound = out[i].begin >= kHeaderSize && out[i].begin < out[i].end && out[i].end <= index_ &&
                       out[i].end - out[i].begin <= kLargestBlock;
    if (!sound) broken("is damaged (index)");
  }
  return out;
}

/// Calls visit(name) for each name of a block, until it says false.
template <class F>
void ListFile::each_name(Bytes block, std::size_t names, F&& visit) const {
  std::array<char, kLongestName> text;  // a name stands at the end, where what it shares with the next one stays
  std::size_t size = 0;
  for (std::size_t i = 0; i < names; ++i) {
    if (block.size() < 2) broken("is damaged (block)");
    const auto shared = std::to_integer<std::size_t>(block[0]);
    const auto own = std::to_integer<std::size_t>(block[1]);
    if (shared > size || own > block.size() - 2 || shared + own > kLongestName || shared + own == 0)
      broken("is damaged (name)");
    size = shared + own;
    std::memcpy(text.data() + kLongestName - size, block.data() + 2, own);
    block = block.subspan(2 + own);
    if (!visit(std::string_view(text.data() + kLongestName - size, size))) return;
  }
  if (!block.empty()) broken("is damaged (block)");
}

void ListFile::for_each(const Visitor& visitor) const {
  constexpr std::uint64_t kBatch = 256;  // at most 1 MB of blocks
  boost::crc_32_type index_crc;
  std::vector<std::byte> raw;
  std::uint64_t expected = kHeaderSize;
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
      std::array<std::byte, kIndexEntrySize> entry;
      store_little<std::uint64_t>(entry, found[i].begin);
      store_little<std::uint32_t>(MutableBytes(entry).subspan(8), found[i].crc);
      index_crc.process_bytes(entry.data(), entry.size());
      const bool is_exception = block >= blocks_of(entries_);
      each_name(bytes, names_in(block), [&](std::string_view name) { return visitor(name, is_exception), true; });
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

bool ListFile::holds(Range range, std::string_view name) const {
  while (range.begin < range.end) {  // does not begin after the name: the last such block has it, or none
    const std::uint64_t middle = range.begin + (range.end - range.begin) / 2;
    const std::vector<std::byte> raw = read_block(middle);
    bool is_after = false, found = false, passed = false, first = true;
    each_name(raw, names_in(middle), [&](std::string_view listed) {
      found = listed == name;
      passed = !found && comes_before(name, listed);
      is_after = passed && first;
      first = false;
      return !found && !passed;
    });
    if (found) return true;
    if (passed && !is_after) return false;  // between two names of this block
    if (is_after)
      range.end = middle;
    else
      range.begin = middle + 1;
  }
  return false;
}

policy::ListEntry ListFile::find(std::string_view name) const {
  const std::uint64_t first = blocks_of(entries_);
  if (holds({first, blocks()}, name)) return policy::ListEntry::exception;
  return holds({0, first}, name) ? policy::ListEntry::listed : policy::ListEntry::none;
}

}  // namespace gatehouse::db
