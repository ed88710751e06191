// A plugin as the gateway's store sees it, for the conformance suites.
#pragma once

#include "gateway/base/lane.hpp"
#include "gateway/services/sessions.hpp"
#include "gateway/services/values.hpp"
#include "gateway/store/store_writer.hpp"
#include "tests/unit/conformance/store_host.hpp"

#include <array>
#include <atomic>

namespace gatehouse::conformance {

/// Seconds that StoreHost::pass() has added to the clock.
inline std::atomic<std::int64_t> time_passed{0};
inline std::int64_t test_now() noexcept { return unix_now() + time_passed; }

class GatewayPlugin final : public PluginHost {
 public:
  GatewayPlugin(const StoreWriter& writer, const std::string& name)
      : sessions_(writer.sessions(), name, &test_now), values_(writer.values(), writer.sessions()->durability(), name) {
    for (std::uint32_t i = 0; i < lanes_.size(); ++i) lanes_[i].head.index = i;
  }
  ~GatewayPlugin() override {
    sessions_.let_go();
    values_.let_go();
  }
  const gh_sessions& sessions() override { return *sessions_.table(); }
  const gh_values& values() override { return *values_.table(); }
  gh_lane* lane(unsigned index) override { return &lanes_[index].head; }

 private:
  PluginSessions sessions_;
  PluginValues values_;
  std::array<HostLane, 2> lanes_;
};

}  // namespace gatehouse::conformance
