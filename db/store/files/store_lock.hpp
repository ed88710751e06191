// The lock that lets one gateway only write to a store. One owner.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <filesystem>

namespace gatehouse::db {

/// An advisory lock (flock) on a file that stays there for ever, since one that is removed could be locked twice. The
/// kernel lets go of it when the process ends, however that happens. Says inside who holds it: "1234
/// 2026-11-21T16:12:34Z".
class StoreLock {
 public:
  /// @param database  as a person knows it, for the sentence
  /// @throws std::runtime_error  another process has it: which one
  ///         StoreError          the file can be neither opened nor made
  StoreLock(const std::filesystem::path& path, const std::filesystem::path& database);

 private:
  UniqueFd file_;  // not inherited by other programs
};

}  // namespace gatehouse::db
