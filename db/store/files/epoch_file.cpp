#include "db/store/files/epoch_file.hpp"

#include <gatehouse/base/endian.hpp>
#include <gatehouse/base/file_stamp.hpp>
#include <gatehouse/base/own_path.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

namespace gatehouse::db {
namespace {

constexpr std::size_t kSize = 32;
constexpr std::size_t kChecksumAt = 28;
constexpr std::uint32_t kMagic = 0x7065'4847;  // "GHep"

using Content = std::array<std::byte, kSize>;

std::uint32_t checksum(const Content& content) noexcept {
  std::uint32_t hash = 0x811c'9dc5;  // FNV-1a, draft-eastlake-fnv
  for (std::size_t i = 0; i < kChecksumAt; ++i)
    hash = (hash ^ std::to_integer<std::uint32_t>(content[i])) * 0x0100'0193;
  return hash;
}

Content encode(const EpochMark& mark) noexcept {
  Content out{};
  const MutableBytes to(out);
  const std::uint64_t since = mark.n - std::min(mark.checkpointed, mark.n);
  store_little(to, kMagic);
  store_little(to.subspan(4), mark.longest_lease);
  store_little(to.subspan(8), mark.store_id);
  store_little(to.subspan(16), mark.n);
  store_little(to.subspan(24),
               static_cast<std::uint32_t>(std::min<std::uint64_t>(since, std::numeric_limits<std::uint32_t>::max())));
  store_little(to.subspan(kChecksumAt), checksum(out));
  return out;
}

std::optional<EpochMark> decode(const Content& content) noexcept {
  const Bytes in(content);
  if (load_little<std::uint32_t>(in) != kMagic) return {};
  if (load_little<std::uint32_t>(in.subspan(kChecksumAt)) != checksum(content)) return {};
  EpochMark mark;
  mark.longest_lease = load_little<std::uint32_t>(in.subspan(4));
  mark.store_id = load_little<std::uint64_t>(in.subspan(8));
  mark.n = load_little<std::uint64_t>(in.subspan(16));
  const std::uint64_t since = load_little<std::uint32_t>(in.subspan(24));
  const bool long_ago = since == std::numeric_limits<std::uint32_t>::max();  // so long that it does not fit
  mark.checkpointed = long_ago || since > mark.n ? 0 : mark.n - since;
  return mark;
}

/// Without an exception, for errno to say why.
bool sync_folder_of(const std::filesystem::path& path) noexcept {
  const UniqueFd folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return folder && ::fsync(folder.get()) == 0;
}

}  // namespace

EpochFile::Reading EpochFile::read(const std::filesystem::path& path) {
  const UniqueFd file = open_own(path, O_RDONLY);
  if (!file) return {errno == ENOENT ? Found::nothing : errno == EACCES ? Found::closed : Found::broken, {}};
  for (int attempt = 0; attempt < 3; ++attempt) {  // a write that goes on meanwhile may be seen in part
    Content content{};
    if (::pread(file.get(), content.data(), kSize, 0) != static_cast<ssize_t>(kSize)) continue;
    if (const auto mark = decode(content)) return {Found::sound, *mark};
  }
  return {Found::broken, {}};
}

bool EpochFile::write(const EpochMark& mark) noexcept {
  const Content content = encode(mark);
  is_behind_ = !file_ || ::pwrite(file_.get(), content.data(), kSize, 0) != static_cast<ssize_t>(kSize);
  return !is_behind_;
}

bool EpochFile::save(const EpochMark& mark) noexcept {
  const bool made = !is_there();
  if (made) file_ = open_or_make(path_, O_WRONLY, 0640);
  is_behind_ = !write(mark) || ::fsync(file_.get()) != 0 || (made && !sync_folder_of(path_));
  return !is_behind_;
}

bool EpochFile::is_there() const noexcept {
  const FileStamp mine = FileStamp::of(file_);
  return mine.exists() && mine.is_file(FileStamp::of(path_));
}

}  // namespace gatehouse::db
