// Which sealed messages have come before, as far as a table of fixed size goes back.
#pragma once

#include "plugins/geneve-relay/wire/disco_envelope.hpp"

#include <gatehouse/base/endian.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace gatehouse::geneve_relay {

/// One lane's; not thread-safe. Only nonces of what has opened belong in here: strangers can then not make it forget.
/// Whoever holds a key can, but needs no recording to ask. 256 KB; neither call allocates.
class SeenNonces {
 public:
  static constexpr std::size_t kWays = 8, kRows = 2048;

  SeenNonces() : rows_(kRows) {}

  /// @param nonce  kDiscoNonceSize bytes
  [[nodiscard]] bool has(Bytes nonce) const noexcept {
    const Mark mark = mark_of(nonce);
    return std::ranges::find(rows_[row_of(mark)], mark) != rows_[row_of(mark)].end();
  }
  /// In place of the oldest of its row.
  void add(Bytes nonce) noexcept {
    const Mark mark = mark_of(nonce);
    Row& row = rows_[row_of(mark)];
    std::copy_backward(row.begin(), row.end() - 1, row.end());
    row.front() = mark;
  }

 private:
  using Mark = std::array<std::uint64_t, 2>;  // of a nonce, which is random: nobody else's has the same
  using Row = std::array<Mark, kWays>;        // the newest first

  static Mark mark_of(Bytes nonce) noexcept {
    return {load_big<std::uint64_t>(nonce) | 1,
            load_big<std::uint64_t>(nonce.subspan(8))};  // not that of an empty place
  }
  static std::size_t row_of(const Mark& mark) noexcept { return mark[1] % kRows; }

  std::vector<Row> rows_;
};

}  // namespace gatehouse::geneve_relay
