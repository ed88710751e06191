#include "plugins/geneve-relay/fast_path/refusal.hpp"

#include "plugins/geneve-relay/fast_path/fast_path.hpp"
#include "plugins/geneve-relay/fast_path/next_hops.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace gatehouse::geneve_relay {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Refusal, OfLoadingSaysWhatIsMissing) {
  EXPECT_THAT(load_refusal(EPERM, ""), HasSubstr("CAP_BPF and CAP_NET_ADMIN are missing"));
  EXPECT_THAT(load_refusal(ENOMEM, ""), HasSubstr("lower that"));
  EXPECT_THAT(load_refusal(ENOSYS, ""), HasSubstr("CONFIG_BPF_SYSCALL"));
}

// EACCES is also what the verifier says to a program that it does not like: no capability mends that.
TEST(Refusal, OfTheVerifierIsShown) {
  const std::string said = load_refusal(EACCES, "R1 invalid mem access 'scalar'");
  EXPECT_THAT(said, HasSubstr("(R1 invalid mem access 'scalar'); it needs Linux 5.15"));
  EXPECT_THAT(said, Not(HasSubstr("CAP_BPF")));
}

TEST(Refusal, OfAttachingNamesTheHolder) {
  EXPECT_EQ(attach_refusal("eth0", EBUSY, HoldingProgram{7, "xdp_pass"}),
            "another XDP program is attached to it (7, xdp_pass): detach it (ip link set dev eth0 xdp off), or leave "
            "eth0 to user space");
  EXPECT_EQ(attach_refusal("eth0", EEXIST, HoldingProgram{7, "gh_relay_native"}),
            "another gateway relays there (program 7, gh_relay_native): end that, or leave eth0 to it");
  EXPECT_THAT(attach_refusal("eth0", EBUSY, HoldingProgram{7, ""}), HasSubstr("attached to it (7):"));
  EXPECT_THAT(attach_refusal("eth0", EBUSY, {}), HasSubstr("another XDP program is attached to it"));
  EXPECT_EQ(attach_refusal("eth9", ENODEV, {}), "there is no interface eth9");
  EXPECT_THAT(attach_refusal("eth0", EPERM, {}), HasSubstr("CAP_NET_ADMIN"));
}

TEST(Refusal, OfADriver) {
  EXPECT_EQ(native_refusal("eth0", EOPNOTSUPP), "the driver of eth0 has no native XDP");
  EXPECT_THAT(native_refusal("eth0", ERANGE), HasSubstr("MTU"));
  EXPECT_THAT(native_refusal("eth0", ENOMEM), HasSubstr("queues"));
}

TEST(FastInterface, SaysHowItIsServed) {
  EXPECT_EQ((FastInterface{"eth0", FastMode::native, ""}.to_string()), "native on eth0");
  EXPECT_EQ((FastInterface{"eth1", FastMode::generic, "the driver of eth1 has no native XDP"}.to_string()),
            "generic on eth1 (the driver of eth1 has no native XDP)");
  EXPECT_EQ((FastInterface{"eth2", FastMode::off, "there is no interface eth2"}.to_string()),
            "not on eth2: there is no interface eth2");
}

TEST(FastTotals, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (unsigned what = 0; what <= GH_FAST_COUNTS; ++what) names.insert(to_text(gh_fast_count(what)));
  EXPECT_EQ(names.size(), GH_FAST_COUNTS + 1u);
}

// As /proc/net/ipv6_route has them: default by advertisement, of a prefix by advertisement, default by hand.
constexpr const char* kAdvertised =
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000000000000000 00000400 "
    "00000001 00000000 00450003     eth0\n";
constexpr const char* kPrefix =
    "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 "
    "00000001 00000000 00440001     eth0\n";
constexpr const char* kByHand =
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000000000000000 00000400 "
    "00000001 00000000 00000003     eth0\n";

TEST(AdvertisedDefault, IsWhatTheKernelWouldForget) {
  const auto never = [](const std::string&) { return false; };
  EXPECT_EQ(advertised_default(std::string(kByHand) + kPrefix + kAdvertised, never), "eth0");
  EXPECT_EQ(advertised_default(std::string(kByHand) + kPrefix, never), "");
  EXPECT_EQ(advertised_default("", never), "");
  EXPECT_EQ(advertised_default("not a route\n", never), "");
}

TEST(AdvertisedDefault, StaysWhereTheInterfaceTakesThemAsARouterToo) {
  EXPECT_EQ(advertised_default(kAdvertised, [](const std::string& interface) { return interface == "eth0"; }), "");
}

}  // namespace
}  // namespace gatehouse::geneve_relay
