// Somebody between a plugin and a FakeHost: sees what is asked for, and may answer in its place.
#pragma once

#include <gatehouse/abi.h>

namespace gatehouse::testkit {

/// Its functions are called as abi.h says of gh_host.get: on any thread, at any time while an instance lives.
class HostInterposer {
 public:
  virtual ~HostInterposer() = default;
  /// What the plugin gets for `id`: `offered` itself, another table that lives as long, or null to withhold it.
  /// @param offered  what the host has, null for an interface that it does not know
  virtual const void* get(const char* id, const void* offered) = 0;
  /// On a lane's thread, before run_lane(), with what all [lane] functions are to be called with there.
  virtual void lane_begins(const gh_lane& /*lane*/) {}
};

}  // namespace gatehouse::testkit
