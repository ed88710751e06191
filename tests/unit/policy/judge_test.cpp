// The compiled snapshot against the naive reading of the rows, and properties that hold for any policy.
#include "policy/explain.hpp"
#include "tests/unit/policy/naive.hpp"
#include "tests/unit/policy/random_policy.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace gatehouse::policy {
namespace {

constexpr std::int64_t kNow = 1000;
constexpr std::uint64_t kGeneration = 42;

std::string told(const ClientFacts& client, const Flow& flow, const Verdict& v) {
  return std::string(client.identity) + " -> " + flow.destination.to_string() + " port " + std::to_string(flow.port) +
         " transport " + std::to_string(flow.transport) + " flags " + std::to_string(flow.flags) + " name " +
         std::string(flow.domain) + ": " + std::string(to_text(v.action)) + " " + std::string(to_text(v.reason)) + " " +
         std::to_string(v.row);
}

/// How many (policy, flow) pairs to compare; by hand GATEHOUSE_ORACLE_PAIRS=10000000 asks for more.
int oracle_pairs() {
  const char* const asked = std::getenv("GATEHOUSE_ORACLE_PAIRS");
#ifdef NDEBUG
  constexpr int kPairs = 1'000'000;
#else
  constexpr int kPairs = 100'000;  // a sanitizer takes ten times as long
#endif
  return asked ? std::atoi(asked) : kPairs;
}

TEST(Judge, EqualsANaiveReadingOfTheRows) {
  RandomPolicy random(20261121);
  std::size_t allowed = 0, denied = 0, by_list = 0;
  for (int round = 0; round < oracle_pairs() / 250; ++round) {
    const Model model = random.model();
    const Surroundings around = random.surroundings();
    const naive::ListTexts texts = random.list_texts();
    const Compiled compiled = compile(model, around, kGeneration, kNow, RandomPolicy::lists(texts));
    ASSERT_TRUE(compiled.problems.empty()) << compiled.problems[0].sentence;
    const naive::Evaluator naive{model, around, kNow, texts};
    for (int i = 0; i < 250; ++i) {
      const ClientFacts client = random.client();
      const Flow flow = random.flow();
      const bool local = random.below(3) == 0;
      const GroupIndex index = compiled.snapshot->group_of(client);
      ASSERT_EQ(compiled.snapshot->group(index).id, naive.group_of(client));
      const Standing standing = compiled.snapshot->standing_of(client, local);
      const Verdict got = compiled.snapshot->judge(standing, flow);
      Verdict want = naive.judge(naive.group_of(client), client.plugin, local, flow);
      want.generation = kGeneration;
      ASSERT_EQ(got, want) << told(client, flow, got) << "\nwanted " << told(client, flow, want);
      (got.allowed() ? allowed : denied) += 1;
      by_list += got.table == Table::domain_lists ? 1 : 0;
      SideHits hits;
      ASSERT_EQ(compiled.snapshot->judge(standing, flow, hits), got) << "monitors decide nothing";
    }
  }
  EXPECT_GT(allowed, 10000u);  // the comparison saw both
  EXPECT_GT(denied, 10000u);
  EXPECT_GT(by_list, 500u);
}

TEST(Explain, EndsWithWhatJudgeSays) {
  RandomPolicy random(7);
  for (int round = 0; round < 300; ++round) {
    const Lists lists = RandomPolicy::lists(random.list_texts());
    const Compiled compiled = compile(random.model(), random.surroundings(), kGeneration, kNow, lists);
    for (int i = 0; i < 100; ++i) {
      const ClientFacts client = random.client();
      const Flow flow = random.flow();
      const bool local = random.below(3) == 0;
      const Explanation explained = explain(*compiled.snapshot, client, local, flow);
      const Verdict judged = compiled.snapshot->judge(compiled.snapshot->standing_of(client, local), flow);
      ASSERT_EQ(explained.verdict, judged);
      ASSERT_FALSE(explained.steps.empty());
      EXPECT_EQ(explained.steps.back().outcome, to_text(judged.action));
      EXPECT_EQ(explained.steps.back().table, judged.table);
      for (const ExplainedStep& step : explained.steps) EXPECT_FALSE(step.sentence.empty()) << step.name;
    }
  }
}

/// The IPv6 forms in which an IPv4 address can be hidden.
std::vector<IpAddress> embeddings(std::uint32_t v4) {
  std::vector<IpAddress> out;
  const auto form = [&](std::uint64_t high, std::uint64_t low) {
    std::array<std::byte, 16> bytes{};
    store_big(MutableBytes(bytes), high);
    store_big(MutableBytes(bytes).subspan(8), low);
    out.push_back(IpAddress::v6(bytes));
  };
  form(0, 0xffff'0000'0000 | v4);
  if (v4 > 1) form(0, v4);
  form(0x0064'ff9b'0000'0000, v4);
  form(0x2001'0db8'0064'0000, v4);  // the random surroundings' own NAT64 prefixes, of 96, 64 and 32 bits
  form(0x0064'ff9b'0001'0001, std::uint64_t{v4} << 24);
  form(0x2a00'0064'0000'0000 | v4, 0);
  form(0x2002'0000'0000'0000 | std::uint64_t{v4} << 16 | 0x77, 0x1234);
  return out;
}

TEST(Judge, TreatsEveryEmbeddingOfAnIpv4AddressAsThatAddress) {
  RandomPolicy random(99);
  for (int round = 0; round < 200; ++round) {
    const Lists lists = RandomPolicy::lists(random.list_texts());
    const Compiled compiled = compile(random.model(), random.surroundings(), kGeneration, kNow, lists);
    for (int i = 0; i < 50; ++i) {
      Flow flow = random.flow();
      if (!flow.destination.is_v4()) continue;
      const bool local = random.below(2) == 0;
      const GroupIndex index = compiled.snapshot->group_of(random.client());
      const Verdict plain = compiled.snapshot->judge({index, local}, flow);
      for (const IpAddress& embedded : embeddings(flow.destination.to_v4())) {
        flow.destination = embedded;
        ASSERT_EQ(compiled.snapshot->judge({index, local}, flow), plain) << embedded.to_string();
      }
    }
  }
}

TEST(Judge, IsNotChangedByARowBehindTheDecidingOne) {
  RandomPolicy random(5);
  for (int round = 0; round < 200; ++round) {
    Model model = random.model();
    const Surroundings around = random.surroundings();
    const Compiled before = compile(model, around, kGeneration, kNow);
    model.port_permits.push_back({999, {}, "any", {}, {}, "deny", 1000, {}});
    const Compiled after = compile(model, around, kGeneration, kNow);
    for (int i = 0; i < 50; ++i) {
      const Flow flow = random.flow();
      const GroupIndex index = before.snapshot->group_of(random.client());
      const Verdict verdict = before.snapshot->judge({index, false}, flow);
      if (verdict.reason == Reason::default_action) continue;
      ASSERT_EQ(after.snapshot->judge({index, false}, flow), verdict);
    }
  }
}

TEST(Judge, ReportsTheMonitorsOnTheWay) {
  Model model;
  model.groups = {{0, "everyone", 100, true}};
  model.domain_rules = {{1, {}, "example.com", "suffix", "monitor", {}},
                        {2, {}, "ads.example.com", "exact", "block", {}}};
  model.domain_lists = {{3, "watched", {}, "suffix", "monitor", "f", {}}};
  model.port_permits = {{4, {}, "udp", "53", {}, "monitor", 1, {}},
                        {5, {}, "any", {}, "8.8.8.0/24", "monitor", 2, {}},
                        {6, {}, "any", "1-100", {}, "allow", 3, {}},
                        {7, {}, "any", {}, {}, "monitor", 4, {}}};
  const auto snapshot = compile(model, {}, 1, kNow, RandomPolicy::lists({{"f", {{"www.example.com"}, {}}}})).snapshot;
  const auto hits = [&](const char* name, std::uint16_t port, std::uint32_t transport) {
    SideHits out;
    static_cast<void>(snapshot->judge({GroupIndex{0}, false},
                                      {RandomPolicy::address("8.8.8.8"), port, transport, kFlowNamed, name}, out));
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < out.count; ++i) rows.push_back(out.rows[i].row);
    return rows;
  };
  using Rows = std::vector<std::int64_t>;
  EXPECT_EQ(hits("a.www.example.com", 53, kUdp), (Rows{1, 3, 4, 5}));  // 7 stands behind the row that decides
  EXPECT_EQ(hits("ads.example.com", 53, kUdp), (Rows{1}));             // blocked by name: ports are not asked
  EXPECT_EQ(hits("other.com", 500, kTcp), (Rows{7, 5}));
}

TEST(Judge, ReportsNoMonitorBehindTheRowThatDecides) {
  Model model;
  model.groups = {{0, "everyone", 100, true}};
  model.port_permits = {{1, {}, "any", {}, {}, "monitor", 1, {}},
                        {2, {}, "any", {}, "8.8.8.0/24", "allow", 2, {}},
                        {3, {}, "any", {}, "9.9.9.0/24", "monitor", 3, {}},
                        {4, {}, "any", {}, {}, "monitor", 4, {}},
                        {5, {}, "any", {}, {}, "allow", 5, {}},
                        {6, {}, "any", {}, "9.9.9.0/24", "monitor", 6, {}},
                        {7, {}, "any", {}, {}, "monitor", 7, {}}};
  const auto snapshot = compile(model, {}, 1, kNow).snapshot;
  const auto hits = [&](const char* address) {
    SideHits out;
    static_cast<void>(snapshot->judge({GroupIndex{0}, false}, {RandomPolicy::address(address), 53, kUdp, 0, {}}, out));
    std::vector<std::int64_t> rows;
    for (std::size_t i = 0; i < out.count; ++i) rows.push_back(out.rows[i].row);
    return rows;
  };
  using Rows = std::vector<std::int64_t>;
  EXPECT_EQ(hits("8.8.8.8"), (Rows{1})) << "4, of any address, stands behind the row that names this one";
  EXPECT_EQ(hits("9.9.9.9"), (Rows{1, 4, 3})) << "6, which names this address, stands behind a row of any";
}

TEST(Judge, TellsWhichRowLetTheNamePass) {
  Model model;
  model.groups = {{0, "everyone", 100, true}};
  model.domain_rules = {{1, {}, "good.ads.test", "suffix", "allow", {}}};
  model.domain_lists = {{2, "fine", {}, "suffix", "allow", "f", {}}};
  const auto snapshot = compile(model, {}, 1, kNow, RandomPolicy::lists({{"f", {{"www.test"}, {}}}})).snapshot;
  const auto allowed_by = [&](const char* name) {
    SideHits out;
    out.allowed_name = {Table::settings, 99};  // of a flow before
    static_cast<void>(
        snapshot->judge({GroupIndex{0}, false}, {RandomPolicy::address("8.8.8.8"), 53, kUdp, kFlowNamed, name}, out));
    return out.allowed_name;
  };
  EXPECT_EQ(allowed_by("a.good.ads.test"), (RowRef{Table::domain_rules, 1}));
  EXPECT_EQ(allowed_by("www.test"), (RowRef{Table::domain_lists, 2}));
  EXPECT_EQ(allowed_by("other.test"), RowRef{});
}

TEST(Judge, DeniesEverythingWithoutAPolicy) {
  const auto snapshot = Snapshot::without_policy(3);
  RandomPolicy random(1);
  for (int i = 0; i < 200; ++i) {
    const Verdict verdict = snapshot->judge(snapshot->standing_of(random.client(), true), random.flow());
    EXPECT_EQ(verdict, (Verdict{Action::deny, Reason::no_policy, Table::none, 0, 3}));
  }
}

// DNS-SD has such names (RFC 6763, 4.1.1); frontends give a dot inside a label as kDotInLabel.
TEST(Judge, TakesALabelWithADotForOneLabel) {
  Model model;
  model.settings = {{9, "default_action", "allow"}};
  model.groups = {{0, "everyone", 100, true}};
  model.domain_rules = {{1, {}, "b.example", "suffix", "block", {}}, {2, {}, "printers.test", "suffix", "block", {}}};
  const Compiled compiled = compile(model, {}, kGeneration, kNow);
  const auto row_for = [&](std::string_view name) {
    return compiled.snapshot->judge({}, {.destination = IpAddress::v4(0x08080808), .port = 53, .domain = name}).row;
  };
  EXPECT_EQ(row_for("a.b.example"), 1);
  EXPECT_NE(row_for("a\x7f"
                    "b.example"),
            1);
  EXPECT_NE(row_for("b\x7f"
                    "example"),
            1);
  EXPECT_EQ(row_for("dr\x7f p\xc3\xa9pperson\x7f.printers.test"), 2) << "what stands above it counts";
  EXPECT_EQ(row_for(std::string_view("\0 \xff.b.example", 13)), 1);
}

TEST(Judge, SeesANameInAnySpelling) {
  Model model;
  model.groups = {{0, "everyone", 100, true}};
  model.domain_rules = {{1, {}, "Ads.Example.COM.", "suffix", "block", {}}};
  const Compiled compiled = compile(model, {}, 1, kNow);
  ASSERT_TRUE(compiled.problems.empty());
  for (const char* name : {"ads.example.com", "ADS.example.com.", "x.y.Ads.Example.com"}) {
    Flow flow{RandomPolicy::address("8.8.8.8"), 53, kUdp, kFlowNamed, name};
    EXPECT_EQ(compiled.snapshot->judge({GroupIndex{0}, false}, flow).reason, Reason::domain) << name;
  }
  for (const char* name : {"bads.example.com", "example.com", "com", "ads.example.com.x"}) {
    Flow flow{RandomPolicy::address("8.8.8.8"), 53, kUdp, kFlowNamed, name};
    EXPECT_EQ(compiled.snapshot->judge({GroupIndex{0}, false}, flow).reason, Reason::default_action) << name;
  }
  const std::string long_name(300, 'a');
  for (const std::string& name : {long_name, std::string("a..b"), std::string(".a")}) {
    Flow flow{RandomPolicy::address("8.8.8.8"), 53, kUdp, kFlowNamed, name};
    EXPECT_EQ(compiled.snapshot->judge({GroupIndex{0}, false}, flow).reason, Reason::dns_malformed) << name;
  }
}

}  // namespace
}  // namespace gatehouse::policy
