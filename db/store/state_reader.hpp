// Reads, copies and checks the store's files beside the gateway that writes them, or without one: for the command line
// and the control API. One thread an object.
#pragma once

#include "db/file/copy.hpp"
#include "db/store/store.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::db {

/// Reads state.db, in whatever state the last commit left it: never waits for the writer, never delays it.
class StateReader {
 public:
  /// @throws std::runtime_error  a sentence: there is no such file, or it is none of ours or of another version
  explicit StateReader(const std::filesystem::path& state_db);
  ~StateReader();
  StateReader(StateReader&&) noexcept;
  StateReader& operator=(StateReader&&) noexcept;

  /// The newest first, `most` at most. Without their blobs. @throws std::runtime_error
  /// @param plugin  whose, here and below; "" = all
  [[nodiscard]] std::vector<SessionRecord> sessions(bool ended_too, std::size_t most, std::string_view plugin = {});
  /// The newest ones of those that have ended, `most` at most, without their blobs.
  [[nodiscard]] std::vector<SessionRecord> ended_sessions(std::size_t most, std::string_view plugin = {});
  [[nodiscard]] std::size_t count_sessions(bool ended, std::string_view plugin = {});
  [[nodiscard]] std::vector<LeaseRecord> leases();
  /// Of the days `first` to `last`, the newest first.
  [[nodiscard]] std::vector<UsageRecord> usage(std::int64_t first, std::int64_t last);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// copy_database(), with sentences that say what to do. @throws std::runtime_error
void back_up(const std::filesystem::path& from, const std::filesystem::path& to, const CopyProgress& progress = {});

/// What is wrong with a database of ours, as sentences; none is good. Reads all of it.
[[nodiscard]] std::vector<std::string> verify(const std::filesystem::path& database);

}  // namespace gatehouse::db
