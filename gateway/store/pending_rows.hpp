// What waits to be written: each row once, in the order in which the rows came, with those who wait for it.
#pragma once

#include "db/store/store.hpp"
#include "gateway/store/durability.hpp"

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace gatehouse {

/// One thread's, the writer's. A newer version of a row takes the place of the older one, so that it holds no more
/// rows than there are live sessions, leases and values, those of sessions that ended while the store may have them as
/// live, and a bounded number of others that ended. A row that the store cannot take is set aside: it waits no more,
/// until there is a newer version of it or somebody wants to try again.
class PendingRows {
 public:
  /// Ended sessions that may wait where no restart would bring them back: those without a key, and those that the store
  /// has never seen. Then the oldest are given up: nobody asks for them but a person.
  static constexpr std::size_t kMostEnded = 65536;

  /// @param is_first  the store knows nothing of that session @return who waited for one that is given up
  std::vector<Durability::Ticket> put(db::SessionRecord session, const std::vector<Durability::Ticket>& waiting,
                                      bool is_first = false);
  /// A lease of session 0 is one that was released.
  void put(db::LeaseRecord lease, const std::vector<Durability::Ticket>& waiting);
  void put(db::ValueRecord value, const std::vector<Durability::Ticket>& waiting);

  /// Not those that are set aside.
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  /// Is there a row that should not wait for others: a lease, a value, a session that can be resumed?
  [[nodiscard]] bool is_urgent() const noexcept { return urgent_ > 0; }
  /// When the oldest of them came.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> since() const noexcept;
  [[nodiscard]] std::uint64_t forgotten() const noexcept { return forgotten_; }

  /// Marks what is here now, in place of what was marked before.
  void mark() noexcept;
  /// How many of the marked rows are still to be written. A newer version of one stands for it.
  [[nodiscard]] std::size_t marked() const noexcept { return marked_; }

  /// The first rows, `most` at most; they stay until remove_first() is called.
  [[nodiscard]] db::StoreBatch first(std::size_t most) const;
  /// The first `count` rows could not be written, as far as is known: they may be in the store all the same.
  void doubt_first(std::size_t count);
  /// @return who waited for the first `count` rows
  [[nodiscard]] std::vector<Durability::Ticket> remove_first(std::size_t count);

  /// @param row  one of the first that was refused @return who waited for it
  [[nodiscard]] std::vector<Durability::Ticket> set_aside(const db::RefusedRow& row);
  [[nodiscard]] std::size_t aside() const noexcept { return aside_.size(); }
  /// All that are set aside wait again, after the others.
  void retry_aside();

 private:
  using Record = std::variant<db::SessionRecord, db::LeaseRecord, db::ValueRecord>;
  struct Row {
    std::string key;
    Record record;
    std::vector<Durability::Ticket> waiting;
    std::chrono::steady_clock::time_point since;
    std::uint64_t number = 0;  // in the order in which they came first
    bool urgent = false;
    bool aside = false;
    bool unseen = false;                                    // the store has no version of it
    std::optional<std::list<std::string>::iterator> ended;  // in ended_
  };
  enum class Place { as_it_was, last };
  Row& put_row(std::string key, Record record, const std::vector<Durability::Ticket>& waiting, bool urgent,
               Place place);
  void note_end(Row& row);
  void forget_end(Row& row);
  [[nodiscard]] std::vector<Durability::Ticket> give_up_oldest();
  void count(Row& row) noexcept;
  void uncount(const Row& row) noexcept;

  std::list<Row> rows_, aside_;
  std::unordered_map<std::string, std::list<Row>::iterator> index_;
  std::list<std::string> ended_;  // keys of rows that may be given up, the oldest first
  std::size_t urgent_ = 0;        // rows
  std::size_t marked_ = 0;        // rows, whose number is mark_ at most
  std::uint64_t mark_ = 0, last_number_ = 0;
  std::uint64_t forgotten_ = 0;
};

}  // namespace gatehouse
