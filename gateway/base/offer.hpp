// What the host offers to one instance: the tables of abi.h by id.
#pragma once

#include "gateway/base/lane.hpp"

#include <string_view>

namespace gatehouse {

/// Lives from before create() until after destroy().
class Offer {
 public:
  virtual ~Offer() = default;
  /// The interface of that id, or null. Thread-safe.
  [[nodiscard]] virtual const void* find(std::string_view id) const noexcept = 0;
  /// Makes the services' parts of a lane. Control thread, before the lane runs.
  virtual void open_lane(HostLane& lane) = 0;
  /// All its lanes have returned, and they, or those of another instance, are to run. Control thread.
  virtual void lanes_returned() {}
  /// The instance has run for a while: what an earlier one left for it and it did not take is not kept any longer.
  /// Control thread.
  virtual void close_untaken() noexcept {}
  /// It is given up with a thread that may still call: what others count on ends. Control thread.
  virtual void abandoned() noexcept {}
  /// The instance is about to be destroyed: lets go of what points into it. On the thread that destroys it.
  virtual void let_go() noexcept {}
};

}  // namespace gatehouse
