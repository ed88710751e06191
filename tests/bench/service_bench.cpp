// What a verdict costs through gh.policy/1, as a plugin asks for it, with the flow log off and on.
#include "gateway/base/lane.hpp"
#include "gateway/services/policy.hpp"
#include "policy/compile.hpp"

#include <gatehouse/plugin/host.hpp>

#include <benchmark/benchmark.h>

#include <filesystem>

namespace gatehouse {
namespace {

policy::Model permit_all() {
  policy::Model out;
  out.groups = {{0, "everyone", 100, true}};
  policy::PortPermit permit;
  permit.id = 5;
  out.port_permits = {permit};
  return out;
}

/// One client that asks for new destinations, one after another. With the log on, as fast as a lane can: most of the
/// lines are lost, which costs less than those that are not; `told` is the share of the latter.
void service_verdict(benchmark::State& state) {
  const auto log = std::make_shared<FlowLog>();
  const auto file = std::filesystem::temp_directory_path() / "gatehouse_service_bench.json";
  PluginPolicy::Spec spec;
  spec.plugin = "udpgw";
  spec.flow_log = log;
  const PluginPolicy plugin(std::make_shared<SnapshotBoard>(policy::compile(permit_all(), {}, 1, 0).snapshot),
                            std::make_shared<KeyMeters>(), spec);
  HostLane lane;
  lane.policy = plugin.make_lane();
  const gh_policy* const table = plugin.table();
  gh_client_facts facts{sizeof(gh_client_facts), UINT32_MAX, {}, to_border("unix:somebody"), 0};
  gh_verdict verdict{};
  verdict.struct_size = sizeof verdict;
  gh_client* const client = table->client_open(table->context, &lane.head, &facts, &verdict);
  if (state.range(0) != 0) log->switch_to(AppendFile(file));
  gh_flow flow{};
  flow.struct_size = sizeof flow;
  flow.flags = GH_FLOW_NAMED;
  flow.destination = to_border(Endpoint{IpAddress::v4(0x08080808), 53, 0});
  flow.domain = to_border("www.example.com");
  flow.transport = GH_TRANSPORT_UDP;
  for (auto _ : state) {
    ++flow.destination.bytes[3];
    table->check(table->context, &lane.head, client, &flow, &verdict);
    benchmark::DoNotOptimize(verdict);
  }
  log->switch_to({});
  if (state.range(0) == 0) return;
  state.counters["told"] = static_cast<double>(log->status().lines) / static_cast<double>(state.iterations());
  std::filesystem::remove(file);
}
BENCHMARK(service_verdict)->ArgName("flow_log")->Arg(0)->Arg(1);

/// What a lane pays for a line that is kept.
void flow_log_write(benchmark::State& state) {
  auto ring = std::make_unique<FlowLane::Ring>();
  const policy::Verdict verdict{policy::Action::allow, policy::Reason::port_permit, policy::Table::port_permits, 5, 1};
  const policy::Flow flow{IpAddress::v4(0x08080808), 53, policy::kUdp, policy::kFlowNamed, "www.example.com"};
  std::size_t written = 0;
  for (auto _ : state) {
    FlowLane::write(*ring, verdict, flow, flow.destination, "unix:somebody");
    if (++written % FlowLane::kRing == 0) ring->drain([](const FlowEntry&) {});
  }
}
BENCHMARK(flow_log_write);

}  // namespace
}  // namespace gatehouse
