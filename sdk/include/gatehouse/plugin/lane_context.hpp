// What a lane's worker has of its host and of its loop.
#pragma once

#include <gatehouse/async/lane_loop.hpp>
#include <gatehouse/plugin/completions.hpp>
#include <gatehouse/plugin/host.hpp>

#include <atomic>
#include <vector>

namespace gatehouse {

/// Valid while the lane runs; copies are cheap and refer to the same lane.
struct LaneContext {
  const Host& host;                     ///< of the instance
  gh_lane* lane;                        ///< for calls of the host that are the lane's
  LaneLoop& loop;                       ///< its thread runs in
  std::atomic<std::uint64_t>& pending;  ///< clients still served, for the worker to count
  CompletionQueue& completions;         ///< runs in the loop's turns what the host has done for this lane
};

/// What control code has before lanes run.
struct StartContext {
  const Host& host;                        ///< of the instance
  CompletionQueue& completions;            ///< to wait() for
  std::uint32_t lanes = 1;                 ///< how many will run
  const std::vector<Listener>& listeners;  ///< of all lanes; borrowed during the call
};

}  // namespace gatehouse
