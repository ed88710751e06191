// A store under test and what it has promised: every row that was acknowledged, so that a restart can be held against
// it. Behaves as the gateway does: an error is tried again, start_over is answered with everything that is live.
#pragma once

#include "db/store/store.hpp"
#include "tests/unit/db/scratch.hpp"

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse::db {

/// In memory where there is such a file system: nothing here waits for a disk unless it means to.
std::filesystem::path memory_folder();
std::int64_t unix_now();

/// Rows with something in every column, told apart by `number`.
SessionRecord session(std::uint64_t number, const std::string& plugin = "udpgw");
LeaseRecord lease(const std::string& resource, std::uint64_t session, std::int64_t expires_at = 0,
                  const std::string& plugin = "udpgw");
ValueRecord value(const std::string& name, const std::string& bytes, bool secret = false);
ValueRecord no_value(const std::string& name);
UsageRecord usage(const std::string& identity, std::uint64_t bytes, std::int64_t day);

/// Rows as sorted lines, which compare and print well.
std::vector<std::string> lines(const StoredState& state);

/// What was promised.
class Promises {
 public:
  void apply(const StoreBatch& batch);
  /// What load() has to return at `now`.
  [[nodiscard]] StoredState remembered(std::int64_t now) const;
  /// What a gateway answers start_over with.
  [[nodiscard]] StoreBatch everything() const;
  /// A test fails unless that is what a store remembers at `now`. What was `under_way` may be there or not.
  void expect(const StoredState& loaded, std::int64_t now, const StoreBatch& under_way) const;

 private:
  std::map<std::uint64_t, SessionRecord> sessions_;
  std::map<LeaseKey, LeaseRecord> leases_;
  std::map<UsageKey, UsageRecord> usage_;
  std::map<ValueKey, ValueRecord> values_;
};

/// A folder with an empty store that was closed in order: quicker than making one.
class ReadyFolder {
 public:
  ReadyFolder();
  [[nodiscard]] std::filesystem::path state_db() const { return folder_.path() / "state.db"; }

 private:
  ScratchFolder folder_{memory_folder()};
};

class Life {
 public:
  using Open = std::function<std::unique_ptr<Store>(const std::filesystem::path&)>;

  explicit Life(std::filesystem::path state_db, Open open = {});

  /// How often a call that fails is made again before the error gets out.
  void set_tries(int tries) { tries_ = tries; }
  void open();
  void write(const StoreBatch& batch);
  void upkeep();
  /// As after kill -9: nothing is closed in order.
  void kill() { store_.reset(); }
  void close();
  /// The store, opened anew, remembers what was promised, and no more; what was under way when it broke off may be
  /// there or not.
  void expect_promises();

  Store& store() { return *store_; }
  const std::filesystem::path& path() const { return path_; }
  std::int64_t now = unix_now();
  int start_overs = 0;

 private:
  template <class Task>
  void insist(Task task);

  std::filesystem::path path_;
  Open open_;
  int tries_ = 1;
  std::unique_ptr<Store> store_;
  Promises promises_;
  StoreBatch under_way_;
};

}  // namespace gatehouse::db
