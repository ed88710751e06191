#include "plugins/packet-tunnel/common/sysctl.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"
#include "tests/unit/own_network.hpp"

#include <gmock/gmock.h>

#include <sys/mount.h>

namespace gatehouse::packet_tunnel {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kForwarding = "net/ipv4/conf/lo/forwarding";
constexpr const char* kFilter = "net/ipv4/conf/lo/rp_filter";

TEST(SysctlChanges, ArePutBackUnlessSomebodyElseHasChangedThem) {
  in_own_network([] {
    write_sysctl(kForwarding, "0");
    write_sysctl(kFilter, "0");
    SysctlChanges changes;
    EXPECT_EQ(changes.set(kForwarding, "1"), "0");
    EXPECT_EQ(changes.set(kForwarding, "1"), std::nullopt);
    EXPECT_EQ(changes.set(kFilter, "1"), "0");
    EXPECT_EQ(read_sysctl(kForwarding), "1");
    write_sysctl(kFilter, "2");
    changes.restore();
    EXPECT_EQ(read_sysctl(kForwarding), "0");
    EXPECT_EQ(read_sysctl(kFilter), "2");
    write_sysctl(kForwarding, "1");
    changes.restore();
    EXPECT_EQ(read_sysctl(kForwarding), "1") << "only once";
  });
}

std::string refusal_of(const std::string& name) {
  try {
    write_sysctl(name, "1");
  } catch (const HostError& error) {
    return error.what();
  }
  return "";
}

TEST(Sysctl, SaysWhyItCannotBeSet) {
  in_own_network([] {
    EXPECT_EQ(read_sysctl("net/no/such"), std::nullopt);
    EXPECT_THAT(refusal_of("net/no/such"), HasSubstr("no such setting"));
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, "/proc/sys", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      GTEST_SKIP() << "no mount namespace";
    EXPECT_THAT(refusal_of(kForwarding), AllOf(HasSubstr("cannot set /proc/sys/net/ipv4/conf/lo/forwarding to 1"),
                                               HasSubstr("mounted read-only")));
  });
}

}  // namespace
}  // namespace gatehouse::packet_tunnel
