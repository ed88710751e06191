// Answers from anywhere, judged by a policy that blocks names with "bad" in them: a bounded number of names is asked
// about, each of them canonical, and the blocked answer in place of one that is refused leads nowhere.
#include <gatehouse/net/dns_message.hpp>
#include <gatehouse/plugin/lane_context.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/testkit/fake_host.hpp>

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

bool is_bad(const std::string& name) { return name.find("bad") != name.npos; }

bool is_canonical(const std::string& name) {
  return !name.empty() && name.size() <= kLongestDomain && !name.starts_with('.') && !name.ends_with('.') &&
         name.find("..") == name.npos &&
         std::none_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

/// One client under a fake host that writes down what it is asked.
class World {
 public:
  World() {
    host_.set_policy([this](const testkit::FakeFlow& flow) -> std::uint16_t {
      require((flow.flags & GH_FLOW_ANSWER) != 0);
      asked.push_back(flow);
      if ((flow.flags & GH_FLOW_BAD_NAME) != 0) return GH_REASON_DNS_MALFORMED;
      return is_bad(flow.domain) ? GH_REASON_DOMAIN : 0;
    });
  }
  Verdict judge(Bytes answer) {
    asked.clear();
    return judge_answer(client_, {.destination = {IpAddress::v4(0x08080808), 53, 0}}, answer);
  }

  std::vector<testkit::FakeFlow> asked;

 private:
  testkit::FakeHost host_;
  Host cpp_{host_.table(), "fuzz"};
  CompletionQueue completions_;
  gh_lane lane_{sizeof lane_, 0, 1, -1, 0};
  LaneLoop loop_;
  std::atomic<std::uint64_t> pending_{0};
  LaneContext context_{cpp_, &lane_, loop_, pending_, completions_};
  PolicyClient client_ = *PolicyClient::open(context_, {});
};

/// The blocked answer in the place of `answer` asks the same and leads nowhere.
void check_blocked(World& world, Bytes answer, const DnsResponse& response) {
  std::vector<std::byte> blocked(answer.size() + kBlockedAnswerGrowth);
  blocked.resize(write_blocked_answer(response.asked, DnsRcode::nxdomain, 10, blocked));
  require(!blocked.empty() && blocked.size() <= std::max<std::size_t>(answer.size(), 512));
  const auto read = read_dns_response(blocked);
  require(read && read->target_count == 0 && read->asked.id == response.asked.id);
  require(std::ranges::equal(read->asked.question_section, response.asked.question_section));
  require(world.judge(blocked).allowed);
}

void check(Bytes answer) {
  static World world;
  const Verdict verdict = world.judge(answer);
  const auto asked = world.asked;
  const auto response = read_dns_response(answer);
  if (!response) {
    require(!verdict.allowed && verdict.reason == Reason::dns_malformed && asked.size() == 1);
    return;
  }
  require(asked.size() <= std::min<std::size_t>(kMostDnsTargets, response->target_count));
  for (const testkit::FakeFlow& flow : asked) require(is_canonical(flow.domain));
  const bool leads_to_bad = !asked.empty() && is_bad(asked.back().domain);
  require(verdict.allowed == !leads_to_bad);
  check_blocked(world, answer, *response);
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check(gatehouse::fuzz_input(data, size));
  return 0;
}
