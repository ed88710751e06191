// Numbers that were never given out before, not even by a process that crashed: versions, serials, Lamport clocks.
// Such as the relay's LamportIDs.
#pragma once

#include <gatehouse/plugin/lane_context.hpp>

#include <cassert>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse {

/// Takes them from the host in blocks and gives them out one by one, ascending; what is left of a block at the end is
/// skipped. Lanes with one of their own get different numbers, so an order holds within a lane only. One lane's.
class NumberBlocks {
 public:
  /// Asks for the first block at once.
  /// @param name   of the value that says which number comes next (Values)
  /// @param block  numbers the host is asked for at a time: what the plugin gives out in a second or more
  NumberBlocks(const LaneContext& context, std::string name, std::uint64_t block = 1024);
  NumberBlocks(const NumberBlocks&) = delete;
  NumberBlocks& operator=(const NumberBlocks&) = delete;

  /// The next number; empty while none is on disk: see when_ready(). Never waits. Asks for another block, by one call
  /// of the host, when half of this one is left.
  [[nodiscard]] std::optional<std::uint64_t> next();
  /// After next() gave none: runs `then` once on the lane, when there are numbers, or with Errc::io when there
  /// will be none (the disk fails). With this object it goes unrun; so it does when this fails: Errc::io, or
  /// Errc::invalid (the value is no number, or they are used up). Each call tries again.
  [[nodiscard]] Error when_ready(Completion then);

 private:
  struct Block {
    std::uint64_t next = 0, left = 0;
  };
  Error ask();
  void answered(Error failure);

  const gh_values& table_;
  const std::string name_;
  const std::uint64_t size_;
  Block current_, spare_;
  std::uint64_t asked_first_ = 0;
  bool asking_ = false;
  std::vector<Completion> waiting_;
  CompletionScope scope_;
};

}  // namespace gatehouse
