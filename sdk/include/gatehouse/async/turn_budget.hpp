// The work of a lane's turn, shared out between its clients, so that neither one of them nor all together hold up one
// that sends now and then.
#pragma once

#include <gatehouse/async/lane_loop.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace gatehouse {

/// How much a turn, a client's part of it, and that of one which comes when the turn's work is done: in any unit.
struct TurnWork {
  std::size_t turn;    ///< of the lane
  std::size_t client;  ///< of one client
  std::size_t little;  ///< of one that comes when the turn's is done
};

/// One lane's. begin_turn() and end_turn() are called before and after each turn (LaneLoop::on_turn). A client that has
/// more to do than its part goes on in one of the next turns, which come at once, and takes in nothing until then.
/// A turn costs O(n) of those that wait, some nanoseconds each; nothing is allocated after reserve().
/// @tparam Client  has `void resume()`, which may call go_on() once more, and `bool ended() const`
template <class Client>
class TurnBudget {
 public:
  /// @param loop  outlives it  @param work  in units of the caller's, such as halves of a microsecond
  TurnBudget(LaneLoop& loop, TurnWork work) noexcept : loop_(loop), work_(work) {}

  /// So many clients wait without an allocation: to be called where one comes. @throws std::bad_alloc
  void reserve(std::size_t clients) {
    if (clients <= resuming_.capacity()) return;
    waiting_.reserve(2 * clients);
    resuming_.reserve(2 * clients);
  }

  /// Those that wait have half of the turn, in the order in which they came; the rest is for who comes.
  void begin_turn() {
    left_ = work_.turn;
    resuming_.swap(waiting_);
    auto next = resuming_.begin();
    while (next != resuming_.end() && left_ > work_.turn / 2) (*next++)->resume();
    waiting_.insert(waiting_.begin(), next, resuming_.end());  // before those that have to go on once more
    resuming_.clear();
  }

  /// What a client may do in all of this turn, as far as is known now.
  [[nodiscard]] std::size_t part() const noexcept { return left_ > 0 ? work_.client : work_.little; }
  /// The turn's work is done: whoever comes has little.
  [[nodiscard]] bool is_spent() const noexcept { return left_ == 0; }
  /// So much of the turn's work was just done.
  void did(std::size_t work) noexcept { left_ -= std::min(work, left_); }
  /// `client` has more to do: resume() is called in one of the next turns. It stays until then, or until end_turn()
  /// has asked whether it has ended.
  void go_on(Client& client) { waiting_.push_back(&client); }

  /// Before clients that have ended are destroyed.
  void end_turn() {
    std::erase_if(waiting_, [](const Client* client) { return client->ended(); });
    if (!waiting_.empty()) loop_.again();
  }

 private:
  LaneLoop& loop_;
  const TurnWork work_;
  std::size_t left_ = 0;
  std::vector<Client*> waiting_, resuming_;
};

}  // namespace gatehouse
