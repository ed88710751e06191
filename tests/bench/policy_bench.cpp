// What a verdict costs: the starter policy with a thousand domain rules, flows that differ from one to the next.
#include "policy/compile.hpp"
#include "policy/limiter.hpp"

#include <benchmark/benchmark.h>

#include <malloc.h>

#include <random>
#include <string>
#include <vector>

namespace gatehouse::policy {
namespace {

Model starter_like() {
  Model model;
  model.groups = {{0, "everyone", 1000, true}};
  const char* const abused[][2] = {{"tcp", "25"},   {"any", "17,19"}, {"any", "135-139"}, {"any", "161"},
                                   {"udp", "389"},  {"any", "445"},   {"any", "1900"},    {"any", "3702"},
                                   {"any", "5353"}, {"any", "11211"}};
  std::int64_t id = 1;
  for (const auto& [transport, ports] : abused)
    model.port_permits.push_back({id++, {}, transport, ports, {}, "deny", 10, {}});
  model.port_permits.push_back({id++, {}, "any", "all", {}, "allow", 100, {}});
  model.settings = {{1, "default_action", "deny"}};
  return model;
}

Surroundings around() {
  Surroundings out;
  for (const char* own : {"127.0.0.1", "::1", "192.168.1.5", "fe80::1", "2a00::5"})
    out.own.push_back(Prefix::parse(own).value());
  return out;
}

std::vector<Flow> public_flows(bool v6) {
  std::mt19937_64 random(1);
  std::vector<Flow> out;
  while (out.size() < 4096) {
    Flow flow;
    flow.destination = IpAddress::v4(0x08000000 + static_cast<std::uint32_t>(random() & 0xffffff));
    if (v6) {
      std::array<std::byte, 16> bytes{};
      store_big(MutableBytes(bytes), 0x2a00'0000'0000'0000 | (random() & 0xffff'ffff'ffff));
      flow.destination = IpAddress::v6(bytes);
    }
    flow.port = static_cast<std::uint16_t>(20000 + random() % 40000);
    out.push_back(flow);
  }
  return out;
}

void judge_all(benchmark::State& state, const Snapshot& snapshot, const std::vector<Flow>& flows) {
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(snapshot.judge({GroupIndex{0}, false}, flows[i++ % flows.size()]));
}

void verdict_ipv4(benchmark::State& state) {
  judge_all(state, *compile(starter_like(), around(), 1, 0).snapshot, public_flows(false));
}
BENCHMARK(verdict_ipv4);

void verdict_ipv6(benchmark::State& state) {
  judge_all(state, *compile(starter_like(), around(), 1, 0).snapshot, public_flows(true));
}
BENCHMARK(verdict_ipv6);

/// A thousand permits, each for a network and a port of its own; none matches before the last row.
void verdict_with_many_permits(benchmark::State& state) {
  Model model = starter_like();
  for (int i = 0; i < 1000; ++i)
    model.port_permits.push_back({100 + i,
                                  {},
                                  "udp",
                                  std::to_string(1000 + i),
                                  "8." + std::to_string(i / 4) + "." + std::to_string(i % 4 * 64) + ".0/18",
                                  "deny",
                                  50,
                                  {}});
  judge_all(state, *compile(model, around(), 1, 0).snapshot, public_flows(false));
}
BENCHMARK(verdict_with_many_permits);

/// So many groups with ten permits each, for networks and ports of their own. Half of the verdicts are for such rows.
Model with_groups(std::int64_t groups) {
  Model model = starter_like();
  for (std::int64_t group = 1; group <= groups; ++group) {
    model.groups.push_back({group, "group" + std::to_string(group), group, true});
    model.group_members.push_back({group, group, "identity", "token:u" + std::to_string(group), {}});
    for (std::int64_t i = 0; i < 10; ++i) {
      const auto network = static_cast<std::uint32_t>(0x0800'0000 + group * 1024 + i * 64);
      model.port_permits.push_back({group * 10 + i + 100,
                                    group,
                                    "udp",
                                    std::to_string(20000 + i) + "-65535",
                                    Prefix(IpAddress::v4(network), 26).to_string(),
                                    "allow",
                                    50,
                                    {}});
    }
  }
  return model;
}

void verdict_of_group_with_permits(benchmark::State& state) {
  const auto snapshot = compile(with_groups(state.range(0)), around(), 1, 0).snapshot;
  std::vector<Flow> flows = public_flows(false);
  for (std::size_t i = 0; i < flows.size(); i += 2)
    flows[i].destination = IpAddress::v4(static_cast<std::uint32_t>(0x0800'0000 + 1024 + i % 640));
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(snapshot->judge({GroupIndex{0}, false}, flows[i++ % flows.size()]));
}
BENCHMARK(verdict_of_group_with_permits)->ArgName("groups")->Arg(1)->Arg(500);

/// Networks inside networks, each with a permit.
void verdict_with_nested_permits(benchmark::State& state) {
  Model model = starter_like();
  for (int length = 8; length < 8 + state.range(0); ++length)
    model.port_permits.push_back(
        {100 + length, {}, "udp", std::to_string(1000 + length), "8.0.0.0/" + std::to_string(length), "deny", 50, {}});
  std::vector<Flow> flows = public_flows(false);
  for (Flow& flow : flows) flow.destination = IpAddress::v4(0x08000000 + (flow.port & 0xff));
  judge_all(state, *compile(model, around(), 1, 0).snapshot, flows);
}
BENCHMARK(verdict_with_nested_permits)->ArgName("depth")->Arg(1)->Arg(4)->Arg(16);

void compile_groups_with_permits(benchmark::State& state) {
  const Model model = with_groups(state.range(0));
  const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  const Compiled kept = compile(model, around(), 1, 0);
  state.counters["bytes_a_row"] = static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd - before) /
                                  static_cast<double>(model.port_permits.size());
  for (auto _ : state) benchmark::DoNotOptimize(compile(model, around(), 1, 0).snapshot);
}
BENCHMARK(compile_groups_with_permits)
    ->ArgName("groups")
    ->Arg(100)
    ->Arg(1000)
    ->Arg(10'000)
    ->Unit(benchmark::kMillisecond);

void verdict_with_domain(benchmark::State& state) {
  Model model = starter_like();
  for (int i = 0; i < 1000; ++i)
    model.domain_rules.push_back({i + 1, {}, "ads" + std::to_string(i) + ".example", "suffix", "block", {}});
  const bool hit = state.range(0) != 0;
  std::vector<std::string> names;
  for (int i = 0; i < 4096; ++i)
    names.push_back("www." + std::string(hit ? "ads" : "site") + std::to_string(i % 1000) + ".example");
  std::vector<Flow> flows = public_flows(false);
  for (std::size_t i = 0; i < flows.size(); ++i) flows[i].domain = names[i];
  judge_all(state, *compile(model, around(), 1, 0).snapshot, flows);
}
BENCHMARK(verdict_with_domain)->ArgName("listed")->Arg(0)->Arg(1);

void charge_session_and_identity(benchmark::State& state) {
  ScopeLimits rows;
  rows.rate_up.value = 1'000'000'000;
  const MeterLimits limits(rows);
  Meters session, identity;
  const std::array<MeterLink, 2> chain{{{&session, &limits}, {&identity, &limits}}};
  std::uint64_t now = 1;
  for (auto _ : state) benchmark::DoNotOptimize(charge_all(chain, Direction::up, {1, 1400, 1400}, {now += 2000, {}}));
}
BENCHMARK(charge_session_and_identity);

/// So many networks are members of a hundred groups.
Model with_sources(std::int64_t sources) {
  Model model = starter_like();
  std::mt19937_64 random(2);
  for (int i = 1; i <= 100; ++i) model.groups.push_back({i, "group" + std::to_string(i), i, true});
  for (std::int64_t i = 0; i < sources; ++i) {
    const auto network = static_cast<std::uint32_t>(random() & 0xffff'ff00);
    model.group_members.push_back({i + 1, 1 + i % 100, "source", Prefix(IpAddress::v4(network), 24).to_string(), {}});
  }
  return model;
}

/// Half of the clients come from one of the networks.
void group_of_client(benchmark::State& state) {
  const Model model = with_sources(state.range(0));
  std::mt19937_64 random(3);
  std::vector<ClientFacts> clients(4096);
  for (ClientFacts& client : clients) {
    const GroupMember& member = model.group_members[random() % model.group_members.size()];
    client = {"udpgw", "127.0.0.1:7300", "token:bob", Prefix::parse(member.pattern)->address()};
    if (random() % 2 == 0) client.source = IpAddress::v4(static_cast<std::uint32_t>(random()));
  }
  const auto snapshot = compile(model, around(), 1, 0).snapshot;
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(snapshot->group_of(clients[i++ % clients.size()]));
}
BENCHMARK(group_of_client)->ArgName("sources")->Arg(10)->Arg(10'000);

void compile_sources(benchmark::State& state) {
  const Model model = with_sources(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(compile(model, {}, 1, 0).snapshot);
}
BENCHMARK(compile_sources)->ArgName("sources")->Arg(0)->Arg(10)->Arg(10'000)->Unit(benchmark::kMicrosecond);

void compile_rows(benchmark::State& state) {
  Model model = starter_like();
  for (std::int64_t i = 0; i < state.range(0); ++i)
    model.domain_rules.push_back({i + 1, {}, "ads" + std::to_string(i) + ".example", "suffix", "block", {}});
  for (auto _ : state) benchmark::DoNotOptimize(compile(model, {}, 1, 0).snapshot);
}
BENCHMARK(compile_rows)->Arg(1000)->Arg(100'000)->Unit(benchmark::kMillisecond);

/// As a session and its identity open and close flows; with 1, to ever new destinations under a limit and a quota.
void open_and_close_flow(benchmark::State& state) {
  ScopeLimits rows;
  rows.concurrent_flows.value = 1000;
  rows.new_flows_per_second.value = 1'000'000'000;
  if (state.range(0) != 0) {
    rows.destinations_per_minute.value = DistinctWindow::kMostThings;
    rows.quota_bytes.value = 1'000'000'000;
  }
  const MeterLimits limits(rows);
  Meters session, identity;
  session.destinations.reserve(limits.destinations_per_minute);
  identity.destinations.reserve(limits.destinations_per_minute);
  const std::array<MeterLink, 2> chain{{{&session, &limits}, {&identity, &limits}}};
  std::uint64_t now = DistinctWindow::kWindow, destination = 0;
  for (auto _ : state) {
    destination += 0x9e37'79b9'7f4a'7c15;
    benchmark::DoNotOptimize(open_flow(chain, destination, {now += 1'000'000, {}}));
    close_flow(chain);
  }
}
BENCHMARK(open_and_close_flow)->ArgName("destinations")->Arg(0)->Arg(1);

void charge_quotas(benchmark::State& state) {
  ScopeLimits rows;
  rows.rate_up.value = 1'000'000'000;
  rows.quota_bytes.value = QuotaMeter::kMostBytes;
  const MeterLimits limits(rows);
  Meters session, identity;
  const std::array<MeterLink, 2> chain{{{&session, &limits}, {&identity, &limits}}};
  std::uint64_t now = 1;
  for (auto _ : state)
    benchmark::DoNotOptimize(charge_all(chain, Direction::up, {1, 1400, 1400}, {now += 2000, {20'000, 657}}));
}
BENCHMARK(charge_quotas);

/// A super-packet of 44 datagrams, at a rate of which some 30 may go each time.
void charge_part_of_run(benchmark::State& state) {
  ScopeLimits rows;
  rows.rate_up.value = 1'000'000'000;
  rows.burst_up.value = 45'000;
  const MeterLimits limits(rows);
  Meters session, identity;
  const std::array<MeterLink, 2> chain{{{&session, &limits}, {&identity, &limits}}};
  std::uint64_t now = 1, bytes = 0;
  for (auto _ : state) bytes += charge_all(chain, Direction::up, {44, 61'600, 1400}, {now += 42'000, {}}).bytes;
  state.counters["packets"] = static_cast<double>(bytes) / 1400 / static_cast<double>(state.iterations());
}
BENCHMARK(charge_part_of_run);

}  // namespace
}  // namespace gatehouse::policy
