// All plugins' named values, in memory: gh.values/1 reads and changes them, the store's writer copies them to disk.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/durability.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace gatehouse {

/// Thread-safe; locks, but never while anything is read or written.
class ValueTable {
 public:
  explicit ValueTable(std::shared_ptr<Durability> durability = std::make_shared<Durability>());

  [[nodiscard]] std::optional<db::ByteString> get(const db::ValueKey& key) const;
  /// Without a value it is removed.
  void put(const db::ValueKey& key, bool secret, std::optional<db::ByteString> value, Durability::Ticket ticket);
  /// What reserve() leaves out, once a name, where the store has lost commits: more than anybody has lost.
  static constexpr std::uint64_t kLeap = std::uint64_t{1} << 32U;
  /// Sets `count` numbers aside. @return the first; nothing when the value is no number or they are used up
  [[nodiscard]] std::optional<std::uint64_t> reserve(const db::ValueKey& key, std::uint64_t count,
                                                     Durability::Ticket ticket);

  // ---- the writer and the start
  void load(const db::ValueRecord& record);
  /// Values may have been forgotten, names and all: reserve() leaves out what it may have given of them.
  void set_lacks_names() noexcept { lacks_names_ = true; }
  struct Change {
    db::ValueRecord record;
    std::vector<Durability::Ticket> waiting;
  };
  [[nodiscard]] Change take_change(ChangeLink& link);
  void change_all();

 private:
  struct Value : ChangeLink {
    explicit Value(const db::ValueKey& key) : ChangeLink(Kind::value), record{key, false, std::nullopt, false} {}
    db::ValueRecord record;
    std::vector<Durability::Ticket> waiting;
  };
  void change(const db::ValueKey& key, bool secret, std::optional<db::ByteString> value, Durability::Ticket ticket);

  const std::shared_ptr<Durability> durability_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<db::ValueKey, Value> values_;
  bool lacks_names_ = false;  // set before anybody else uses the table
};

}  // namespace gatehouse
