#include "db/lists/name_table.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <array>
#include <cstring>

namespace gatehouse::db {
namespace {

constexpr std::size_t kHead = 2;  // bytes before a text

}  // namespace

void NameTable::add(std::string_view name, policy::ListEntry entry) {
  constexpr std::size_t kChunk = std::size_t{1} << kChunkBits;
  if (chunks_.empty() || used_ + kHead + name.size() + 1 > kChunk) {  // room for the 0 that ends it
    chunks_.push_back(std::make_unique<char[]>(kChunk));
    used_ = 0;
  }
  char* const out = chunks_.back().get() + used_;
  out[0] = static_cast<char>(name.size());
  out[1] = what(entry);
  std::memcpy(out + kHead, name.data(), name.size());
  used_ += kHead + name.size();
  ++size_;
}

std::uint64_t NameTable::key(const Record& record, std::size_t passed) const noexcept {
  const std::string_view name = text(record);
  const std::size_t left = name.size() - std::min(passed, name.size());
  std::array<char, 8> last{};
  const std::size_t n = std::min<std::size_t>(left, last.size());
  std::memcpy(last.data() + last.size() - n, name.data() + left - n, n);
  return load_little<std::uint64_t>(std::as_bytes(std::span(last)));
}

void NameTable::make_records() {
  records_.reserve(static_cast<std::size_t>(size_));
  for (std::size_t chunk = 0; chunk < chunks_.size(); ++chunk) {
    for (std::uint64_t at = 0; chunks_[chunk][at] != 0;) {
      const auto size = static_cast<unsigned char>(chunks_[chunk][at]);
      const std::uint64_t begin = (std::uint64_t{chunk} << kChunkBits) + at + kHead;
      records_.push_back({0, begin << kSizeBits | size});
      at += kHead + size;
    }
  }
}

/// The records are alike in their last `passed` characters. Reads each text once for eight characters, where comparing
/// texts would read two of them for each comparison.
void NameTable::sort(std::size_t begin, std::size_t end, std::size_t passed) {
  for (std::size_t i = begin; i < end; ++i) records_[i].key = key(records_[i], passed);
  std::sort(records_.begin() + static_cast<std::ptrdiff_t>(begin), records_.begin() + static_cast<std::ptrdiff_t>(end),
            [](const Record& a, const Record& b) { return a.key < b.key; });
  for (std::size_t first = begin, next = begin; first < end; first = next) {
    while (next < end && records_[next].key == records_[first].key) ++next;
    const bool ended = (records_[first].key & 0xff) == 0;  // these names are no longer than this, so all the same
    if (next - first > 1 && !ended) sort(first, next, passed + sizeof(std::uint64_t));
  }
}

void NameTable::sort() {
  make_records();
  sort(0, records_.size(), 0);
  std::size_t kept = 0;
  for (const Record& record : records_) {
    if (kept == 0 || text(records_[kept - 1]) != text(record)) {
      records_[kept++] = record;
      continue;
    }
    policy::ListEntry both = entry(records_[kept - 1]);
    both |= entry(record);
    if (both == entry(records_[kept - 1])) ++repeated_;
    set_entry(records_[kept - 1], both);
  }
  records_.resize(kept);
  size_ = kept;
}

}  // namespace gatehouse::db
