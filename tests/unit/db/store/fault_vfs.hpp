// A disk that fails on demand, and one whose power is cut: a layer over SQLite's own files (sqlite.org/vfs.html), the
// default one as long as it lives. What was written and not synced is remembered apart from what was. What fails may be
// said by any thread; the files are one thread's at a time.
#pragma once

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::db {

class FaultVfs {
 public:
  enum class Call { open, read, write, sync, truncate, remove, map, change };  // change: a write, sync or truncate
  enum class Failure { io, full, short_write };

  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  /// The calls number `first` to `first + times - 1` of that kind fail, counted from now and from 1. After a sync that
  /// fails, the disk never gets what it should have written, though it can be read, as Linux does it.
  void fail(Call call, std::uint64_t first, std::uint64_t times, Failure how);
  void heal() { fail(Call::open, 0, 0, Failure::io); }
  /// Calls that have failed since fail().
  [[nodiscard]] std::uint64_t failures() const {
    const std::scoped_lock lock(mutex_);
    return failures_;
  }

  /// The files become what a disk holds when its power is cut now: all that was synced and, as `seed` has it, some of
  /// what was not, in pieces of 512 bytes. Nothing may be open.
  void cut_power(std::uint64_t seed);

 private:
  struct Change {
    std::size_t offset = 0;
    std::vector<std::uint8_t> bytes;
    bool is_cut = false;  // the file ends at `offset`
  };
  /// What the disk has of a file, and what it was told since.
  struct Image {
    std::uint64_t inode = 0;
    std::vector<std::uint8_t> durable;
    std::vector<Change> pending;
  };
  struct File;
  friend struct FileCalls;

  /// How this call fails, if it does.
  [[nodiscard]] std::optional<Failure> failure_of(Call call);
  [[nodiscard]] bool fails(Call call) { return failure_of(call).has_value(); }
  std::shared_ptr<Image> image_of(const char* path);
  static void apply(std::vector<std::uint8_t>& content, const Change& change, std::size_t bytes);

  sqlite3_vfs* const real_;
  sqlite3_vfs own_;
  std::map<std::string, std::shared_ptr<Image>> images_;
  mutable std::mutex mutex_;  // guards what follows
  Call failing_ = Call::open;
  Failure how_ = Failure::io;
  std::uint64_t first_ = 0, times_ = 0, seen_ = 0, failures_ = 0;
};

}  // namespace gatehouse::db
