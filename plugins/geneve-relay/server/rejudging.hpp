// The order in which all endpoints are judged anew.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gatehouse::geneve_relay {

/// In slices, between batches of packets, and in two sweeps: each is judged
/// before any is admitted anew, so that what policy has come to deny leaves the
/// kernel's map first. Begun again it begins with the first sweep.
class Rejudging {
 public:
  enum class Sweep : std::uint8_t { none, judge, admit };

  void begin() noexcept {
    sweep_ = Sweep::judge;
    cursor_ = 0;
  }
  [[nodiscard]] Sweep sweep() const noexcept { return sweep_; }

  /// The next `budget` places of the table. @param visit  of a table's sweep
  /// @return the sweep is over: the next one is next
  template <class Table, class Visit>
  bool go_on(Table& table, std::size_t budget, Visit&& visit) {
    if (!table.sweep(cursor_, budget, visit)) return false;
    sweep_ = sweep_ == Sweep::judge ? Sweep::admit : Sweep::none;
    return true;
  }

 private:
  Sweep sweep_ = Sweep::none;
  std::uint32_t cursor_ = 0;
};

}  // namespace gatehouse::geneve_relay
