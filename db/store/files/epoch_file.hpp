// The file beside state.db that tells, at the next start, whether commits are missing. One owner.
//
// SQLite drops whatever follows the first bad frame of its write-ahead log, or a log that is gone, without a word:
// integrity_check is "ok" afterwards, and leases that clients hold are forgotten. So commits are counted in the
// database (epoch.n, raised in each) and here, and a database that is behind this file has lost commits that were
// acknowledged.
//
// A commit is 1. rows and n to the log, and fsync; 2. n to this file, by pwrite, without fsync; 3. the acknowledgement.
// What is in the page cache outlives the process, so after kill -9
//   - during 1:       the log ends before or after that commit; this file has the one before it: never ahead;
//   - between 1 and 2: the database is one ahead: nothing is missing;
//   - after 2:        both have it.
// After a power cut the log holds every commit whose fsync returned, and this file any of the values that it ever had,
// all of which came after such an fsync: never ahead either; torn, it does not fit its checksum and says nothing. Hence
// no false alarm. The alarm can be missed only for commits that this file had not reached on the disk yet, and these
// had been synced. It is synced at each start, at each checkpoint and at the end, which bounds how far it can be
// behind.
//
// At a checkpoint the log moves into the database, which is synced before the log may be overwritten: n is then in the
// one or in the other. `checkpointed` is n as it was when the log had moved, all of it; it is taken back before the
// next checkpoint begins and set after it has ended, both synced. So while it stands, the database file alone, without
// its log, has that n. If it has a smaller one, somebody put an older copy under a newer log, and SQLite would mix the
// two: the log is set aside then. (In the middle of a checkpoint a page may be torn, and only the log makes it good.)
//
// An opening takes n beyond both counts and writes what it has found (epoch.unsure_until) in the same commit, before
// this file is written: a crash in between finds the same again, one after it finds unsure_until in the database. A
// database with another store_id than this file has is another gateway's, or was made anew: everything is missing.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace gatehouse::db {

/// What the file says: 32 bytes, little-endian: "GHep", longest_lease u32, store_id u64, n u64, n - checkpointed u32,
/// FNV-1a of all that u32.
struct EpochMark {
  std::uint64_t store_id = 0;
  std::uint64_t n = 0;              ///< the last commit that was acknowledged
  std::uint64_t checkpointed = 0;   ///< the last one that is in the database file itself; 0 = nobody can tell
  std::uint32_t longest_lease = 0;  ///< s: no lease that a lost commit knew lasts longer than this
  bool operator==(const EpochMark&) const = default;
};

class EpochFile {
 public:
  explicit EpochFile(std::filesystem::path path) : path_(std::move(path)) {}

  enum class Found { nothing, closed, broken, sound };  // closed: to this user
  struct Reading {
    Found found = Found::nothing;
    EpochMark mark;
  };
  /// Of a file that another process may be writing to.
  [[nodiscard]] static Reading read(const std::filesystem::path& path);

  /// Survives the process, not yet a power cut. One system call, about 1 us. @return false: errno says why
  [[nodiscard]] bool write(const EpochMark& mark) noexcept;
  /// Survives a power cut. Makes the file where its path does not name it any more. @return false: errno says why
  [[nodiscard]] bool save(const EpochMark& mark) noexcept;
  /// Is it still there, where its path says?
  [[nodiscard]] bool is_there() const noexcept;
  /// Has it another mark than the last that it was given?
  [[nodiscard]] bool is_behind() const noexcept { return is_behind_; }

 private:
  std::filesystem::path path_;
  bool is_behind_ = false;
  UniqueFd file_;
};

}  // namespace gatehouse::db
