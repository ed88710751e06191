// A lane without a thread: what a worker is made from, under a fake host.
#pragma once

#include <gatehouse/plugin/lane_context.hpp>
#include <gatehouse/testkit/fake_host.hpp>

#include <gmock/gmock.h>

namespace gatehouse {

class LaneTest : public testing::Test {
 protected:
  testkit::FakeHost host;
  Host cpp{host.table(), "test"};
  CompletionQueue completions;
  gh_lane lane{sizeof lane, 0, 1, -1, 0};
  LaneLoop loop;
  std::atomic<std::uint64_t> pending{0};
  LaneContext context{cpp, &lane, loop, pending, completions};
};

}  // namespace gatehouse
