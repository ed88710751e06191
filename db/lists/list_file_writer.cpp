#include "db/lists/list_file_writer.hpp"

#include <gatehouse/base/endian.hpp>

#include <openssl/evp.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cassert>
#include <memory>
#include <system_error>

namespace gatehouse::db {

using namespace list_layout;

namespace {

constexpr std::size_t kFlushAt = 1 << 20;

template <std::unsigned_integral Int>
void append(std::vector<std::byte>& out, Int value) {
  out.resize(out.size() + sizeof value);
  store_little(MutableBytes(out).last(sizeof value), value);
}

struct Free {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

}  // namespace

ListFileWriter::ListFileWriter(const std::filesystem::path& folder, ListFormat format,
                               const std::filesystem::path& like)
    : folder_(folder), format_(format) {
  create(like);
}

ListFileWriter::~ListFileWriter() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

void ListFileWriter::fail() const { throw std::system_error(errno, std::system_category(), folder_.string()); }

void ListFileWriter::create(const std::filesystem::path& like) {
  while (true) {
    std::string name = (folder_ / (std::string(kUnfinishedPrefix) + "XXXXXX")).string();
    fd_.reset(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd_) fail();
    path_ = name;
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) {
      // Between creation and lock another import may have taken it for one of a dead process.
      struct stat here {};
      if (::fstat(fd_.get(), &here) != 0) fail();
      if (here.st_nlink > 0) break;
    }
    path_.clear();
  }
  struct stat model {};
  if (::stat(like.c_str(), &model) == 0 && ::fchown(fd_.get(), model.st_uid, model.st_gid) != 0 && errno != EPERM)
    fail();
  if (::fchmod(fd_.get(), 0640) != 0) fail();
}

void ListFileWriter::add(std::string_view name, policy::ListEntry entry) {
  assert(!name.empty() && name.size() <= kLongestName && entry != policy::ListEntry::none);
  if (in_block_ == kNamesPerBlock) end_block();
  const std::size_t most = in_block_ == 0 ? 0 : std::min(name.size(), last_.size());
  std::size_t shared = 0;
  while (shared < most && name[name.size() - 1 - shared] == last_[last_.size() - 1 - shared]) ++shared;
  const std::string_view own = name.substr(0, name.size() - shared);
  blocks_.push_back(static_cast<std::byte>(shared));
  blocks_.push_back(static_cast<std::byte>(own.size()));
  blocks_.push_back(static_cast<std::byte>(entry.at) | static_cast<std::byte>(entry.below) << 4);
  blocks_.insert(blocks_.end(), bytes_of(own).begin(), bytes_of(own).end());
  last_ = name;
  ++in_block_;
  ++names_;
  entries_ += is_listed(entry) ? 1 : 0;
  exceptions_ += is_exception(entry) ? 1 : 0;
}

void ListFileWriter::end_block() {
  if (in_block_ == 0) return;
  append(index_, written_ + block_);
  append(index_, crc32(Bytes(blocks_).subspan(block_)));
  in_block_ = 0;
  block_ = blocks_.size();
  if (blocks_.size() >= kFlushAt) flush();
}

void ListFileWriter::flush() {
  write(blocks_, written_);
  written_ += blocks_.size();
  blocks_.clear();
  block_ = 0;
}

void ListFileWriter::write(Bytes bytes, std::uint64_t at) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail();
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    at += static_cast<std::uint64_t>(n);
  }
}

std::string ListFileWriter::finish() {
  end_block();
  flush();
  write(index_, written_);
  std::vector<std::byte> header;
  header.insert(header.end(), bytes_of(kMagic).begin(), bytes_of(kMagic).end());
  append(header, kVersion);
  append(header, static_cast<std::uint32_t>(format_));
  append(header, entries_);
  append(header, exceptions_);
  append(header, written_);
  append(header, crc32(index_));
  append(header, names_);
  append(header, crc32(header));
  write(header, 0);
  if (::fsync(fd_.get()) != 0) fail();
  const std::string name = hash() + ".names";
  const UniqueFd folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::rename(path_.c_str(), (folder_ / name).c_str()) != 0) fail();
  path_.clear();
  if (::fsync(folder.get()) != 0) fail();
  return name;
}

std::string ListFileWriter::hash() const {
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  bool sound = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
  std::vector<std::byte> buffer(kFlushAt);
  off_t at = 0;
  while (true) {
    const ssize_t n = ::pread(fd_.get(), buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail();
    if (n == 0) break;
    sound = sound && EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(n)) == 1;
    at += n;
  }
  std::array<unsigned char, 32> digest{};
  if (!sound || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1)
    throw std::runtime_error("libcrypto cannot compute SHA-256");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const unsigned byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace gatehouse::db
