// A list file with any content is read within its bounds or refused. The checksums are put right first, since no
// mutation would get past them.
#include "db/lists/list_file.hpp"

#include "tests/fuzz/fuzz.hpp"

#include <gatehouse/base/endian.hpp>

#include <sys/mman.h>

#include <stdexcept>

using gatehouse::load_little;
using gatehouse::require;
using gatehouse::store_little;
namespace db = gatehouse::db;
namespace layout = gatehouse::db::list_layout;

namespace {

/// Computes every checksum of which the place can be told.
void mend(gatehouse::MutableBytes file) {
  if (file.size() < layout::header_size(layout::kFirstVersion)) return;
  const std::size_t header = layout::header_size(load_little<std::uint32_t>(file.subspan(8)));
  if (file.size() < header) return;
  const auto index = load_little<std::uint64_t>(file.subspan(32));
  if (index >= header && index <= file.size()) {
    const auto entries = file.subspan(index);
    const auto count = entries.size() / layout::kIndexEntrySize;
    for (std::size_t i = 0; i < count; ++i) {
      const auto entry = entries.subspan(i * layout::kIndexEntrySize);
      const auto begin = load_little<std::uint64_t>(entry);
      const auto end =
          i + 1 < count ? load_little<std::uint64_t>(entry.subspan(layout::kIndexEntrySize)) : std::uint64_t{index};
      if (begin < end && end <= file.size())
        store_little<std::uint32_t>(entry.subspan(8), layout::crc32(file.subspan(begin, end - begin)));
    }
    store_little<std::uint32_t>(file.subspan(40), layout::crc32(entries));
  }
  store_little<std::uint32_t>(file.subspan(header - 4), layout::crc32(file.first(header - 4)));
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const gatehouse::Bytes input = gatehouse::fuzz_input(data + 1, size - 1);  // first byte: are the checksums mended?
  std::vector<std::byte> content(input.begin(), input.end());
  if (data[0] % 2 == 1) mend(content);
  gatehouse::UniqueFd fd(::memfd_create("list", MFD_CLOEXEC));
  require(::pwrite(fd.get(), content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  try {
    const db::ListFile file(std::move(fd), "the list");
    std::string last;
    file.for_each([&](std::string_view name, gatehouse::policy::ListEntry entry) {
      require(!name.empty() && name.size() <= layout::kLongestName);
      require(entry != gatehouse::policy::ListEntry::none);
      last = name;
    });
    static_cast<void>(file.find(last));
    static_cast<void>(file.find("a.example"));
  } catch (const std::runtime_error&) {
  }
  return 0;
}
