#include "tests/unit/db/store/fault_vfs.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>

namespace gatehouse::db {

/// What SQLite gets as its file: ours, and behind it in the same memory the real one.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* vfs;
  std::shared_ptr<Image>* image;  // none of a temporary file
  [[nodiscard]] sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

struct FileCalls {
  using File = FaultVfs::File;
  using Call = FaultVfs::Call;
  using Failure = FaultVfs::Failure;

  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
  static sqlite3_file* real(sqlite3_file* file) { return of(file).real(); }

  static int close(sqlite3_file* file) {
    const int code = real(file)->pMethods->xClose(real(file));
    delete of(file).image;
    return code;
  }
  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    if (of(file).vfs->fails(Call::read)) return SQLITE_IOERR_READ;
    return real(file)->pMethods->xRead(real(file), to, size, at);
  }
  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    FaultVfs& vfs = *of(file).vfs;
    const std::optional<Failure> failing = vfs.failure_of(Call::write);
    const int written = !failing ? size : failing == Failure::short_write ? size / 2 : 0;
    if (of(file).image && written > 0) {
      const auto* const bytes = static_cast<const std::uint8_t*>(from);
      (*of(file).image)->pending.push_back({static_cast<std::size_t>(at), {bytes, bytes + written}, false});
    }
    const int code = written > 0 ? real(file)->pMethods->xWrite(real(file), from, written, at) : SQLITE_OK;
    if (!failing) return code;
    return failing == Failure::io ? SQLITE_IOERR_WRITE : SQLITE_FULL;
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    if (of(file).vfs->fails(Call::truncate)) return SQLITE_IOERR_TRUNCATE;
    if (of(file).image) (*of(file).image)->pending.push_back({static_cast<std::size_t>(size), {}, true});
    return real(file)->pMethods->xTruncate(real(file), size);
  }
  static int sync(sqlite3_file* file, int) {
    const bool failing = of(file).vfs->fails(Call::sync);
    if (of(file).image) {
      FaultVfs::Image& image = **of(file).image;
      if (!failing) {
        for (const auto& change : image.pending) FaultVfs::apply(image.durable, change, change.bytes.size());
      }
      image.pending.clear();
    }
    return failing ? SQLITE_IOERR_FSYNC : SQLITE_OK;
  }
  static int file_size(sqlite3_file* file, sqlite3_int64* size) {
    return real(file)->pMethods->xFileSize(real(file), size);
  }
  static int lock(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
  static int unlock(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
  static int check_lock(sqlite3_file* file, int* result) {
    return real(file)->pMethods->xCheckReservedLock(real(file), result);
  }
  static int control(sqlite3_file* file, int what, void* argument) {
    return real(file)->pMethods->xFileControl(real(file), what, argument);
  }
  static int sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
  static int characteristics(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }
  static int map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
    if (of(file).vfs->fails(Call::map)) return SQLITE_IOERR_SHMMAP;
    return real(file)->pMethods->xShmMap(real(file), page, size, extend, out);
  }
  static int shm_lock(sqlite3_file* file, int offset, int n, int flags) {
    return real(file)->pMethods->xShmLock(real(file), offset, n, flags);
  }
  static void barrier(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }
  static int unmap(sqlite3_file* file, int remove) { return real(file)->pMethods->xShmUnmap(real(file), remove); }

  static int open(sqlite3_vfs* own, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    auto& vfs = *static_cast<FaultVfs*>(own->pAppData);
    of(file) = {{nullptr}, &vfs, nullptr};
    if (vfs.fails(Call::open)) return SQLITE_CANTOPEN;
    const int code = vfs.real_->xOpen(vfs.real_, path, real(file), flags, out_flags);
    if (code != SQLITE_OK) return code;
    if (path) of(file).image = new std::shared_ptr<FaultVfs::Image>(vfs.image_of(path));
    of(file).base.pMethods = &kMethods;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* own, const char* path, int sync_folder) {
    auto& vfs = *static_cast<FaultVfs*>(own->pAppData);
    if (vfs.fails(Call::remove)) return SQLITE_IOERR_DELETE;
    vfs.images_.erase(path);
    return vfs.real_->xDelete(vfs.real_, path, sync_folder);
  }

  static constexpr sqlite3_io_methods kMethods{
      2,           close,           read, write,    truncate, sync,  file_size, lock,   unlock, check_lock, control,
      sector_size, characteristics, map,  shm_lock, barrier,  unmap, nullptr,   nullptr};
};

FaultVfs::FaultVfs() : real_(sqlite3_vfs_find(nullptr)), own_(*real_) {
  own_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  own_.zName = "faulty";
  own_.pAppData = this;
  own_.pNext = nullptr;
  own_.xOpen = FileCalls::open;
  own_.xDelete = FileCalls::remove;
  sqlite3_vfs_register(&own_, 1);
}

FaultVfs::~FaultVfs() { sqlite3_vfs_unregister(&own_); }

void FaultVfs::fail(Call call, std::uint64_t first, std::uint64_t times, Failure how) {
  const std::scoped_lock lock(mutex_);
  failing_ = call;
  first_ = first;
  times_ = times;
  how_ = how;
  seen_ = failures_ = 0;
}

std::optional<FaultVfs::Failure> FaultVfs::failure_of(Call call) {
  const std::scoped_lock lock(mutex_);
  const bool is_change = call == Call::write || call == Call::sync || call == Call::truncate;
  if (first_ == 0 || (call != failing_ && !(failing_ == Call::change && is_change))) {
    const bool power_is_off = failing_ == Call::change && failures_ > 0;
    return power_is_off ? std::optional(how_) : std::nullopt;
  }
  ++seen_;
  if (seen_ < first_ || seen_ - first_ >= times_) return std::nullopt;
  ++failures_;
  return how_;
}

std::shared_ptr<FaultVfs::Image> FaultVfs::image_of(const char* path) {
  struct stat found {};
  ::stat(path, &found);
  std::shared_ptr<Image>& image = images_[path];
  if (!image || image->inode != found.st_ino) {
    std::ifstream in(path, std::ios::binary);
    image = std::make_shared<Image>();
    image->inode = found.st_ino;
    image->durable.assign(std::istreambuf_iterator<char>(in), {});
  }
  return image;
}

void FaultVfs::apply(std::vector<std::uint8_t>& content, const Change& change, std::size_t bytes) {
  if (change.is_cut) return content.resize(std::min(content.size(), change.offset));
  content.resize(std::max(content.size(), change.offset + bytes));
  std::copy_n(change.bytes.begin(), bytes, content.begin() + static_cast<std::ptrdiff_t>(change.offset));
}

void FaultVfs::cut_power(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (const auto& [path, image] : images_) {
    for (const Change& change : image->pending) {
      const std::size_t sectors = (change.bytes.size() + 511) / 512;
      switch (random() % 3) {
        case 0: break;
        case 1: apply(image->durable, change, change.bytes.size()); break;
        default: apply(image->durable, change, std::min(change.bytes.size(), 512 * (random() % (sectors + 1))));
      }
    }
    image->pending.clear();
    if (!std::filesystem::exists(path)) continue;
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(image->durable.data()),
               static_cast<std::streamsize>(image->durable.size()));
    std::filesystem::remove(path + "-shm");
  }
}

}  // namespace gatehouse::db
