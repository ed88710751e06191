#include "gateway/cli/policy/edit/permit_verbs.hpp"

#include "tests/unit/gateway/cli/policy/edit/edit_test.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::HasSubstr;
using testing::Not;

class PermitVerbs : public EditTest {
 protected:
  static PermitArguments ports(const std::string& transport, const std::string& list, const std::string& to = "") {
    PermitArguments arguments;
    arguments.transport = transport;
    arguments.ports = list;
    arguments.destination = to;
    return arguments;
  }
  std::string permit(const PermitArguments& arguments) { return text_of(policy_permit_verb, arguments); }
  std::string deny(const PermitArguments& arguments, bool json = false) {
    return text_of(policy_deny_verb, arguments, json);
  }
};

TEST_F(PermitVerbs, DenyStandsAboveTheStartersPermit) {
  EXPECT_EQ(
      deny(ports("udp", "443, 53")),
      "port_permits 25: udp, port 53,443, to any address is denied for all clients. A running gateway has it within "
      "a second.\n[0]");
  EXPECT_EQ(shell("SELECT transport, ports, destination IS NULL, action, priority FROM port_permits WHERE id = 25"),
            "udp|53,443|1|deny|50\n");
  EXPECT_THAT(deny(ports("udp", "53,443")), HasSubstr("nothing to do"));
  EXPECT_EQ(body(deny(ports("udp", "53,443"), true))["row"], 25);
}

TEST_F(PermitVerbs, PermitSaysWhenAnEarlierRowDenies) {
  EXPECT_THAT(permit(ports("tcp", "25")), HasSubstr("But port_permits 1 is judged earlier and says otherwise"));
  PermitArguments early = ports("tcp", "25");
  early.priority = 5;
  EXPECT_THAT(permit(early), Not(HasSubstr("But")));
  EXPECT_THAT(permit(ports("any", "53,8000-8010", "10.1.0.0/16")),
              HasSubstr("every transport, port 53,8000-8010, to 10.1.0.0/16 is permitted for all clients. A running"));
  EXPECT_THAT(permit(ports("udp", "53", "127.0.0.1")), HasSubstr("see `gatehouse policy explain udp 127.0.0.1:53`"));
  EXPECT_EQ(shell("SELECT count(*) FROM port_permits WHERE id > 24"), "4\n");
}

TEST_F(PermitVerbs, RefuseWhatTheCompilerWould) {
  EXPECT_THAT(permit(ports("sctp", "all")), HasSubstr("`sctp` is no transport: write tcp, udp, icmp or any"));
  EXPECT_THAT(permit(ports("icmp", "8")), HasSubstr("icmp has no ports"));
  EXPECT_THAT(permit(ports("udp", "fifty")), HasSubstr("`fifty` is no list of ports"));
  EXPECT_THAT(permit(ports("udp", "")), HasSubstr("is no list of ports"));
  EXPECT_THAT(permit(ports("udp", "53", "10.0.0.1/8")), HasSubstr("write 10.0.0.0/8"));
  EXPECT_THAT(permit(ports("udp", "53", "64:ff9b::/96")), HasSubstr("write the IPv4 CIDR"));
  EXPECT_EQ(shell("SELECT count(*) FROM changes"), "0\n");
}

}  // namespace
}  // namespace gatehouse
