#include "plugins/udpgw/settings.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace gatehouse::udpgw {
namespace {

std::string options(const std::string& key, const std::string& value) {
  std::map<std::string, std::string> all = {
      {"dns_resolvers", R"(["system"])"}, {"blocked_answer", R"("nxdomain")"}, {"blocked_ttl_seconds", "10"},
      {"resolver_timeout_ms", "1000"},    {"stream_idle_seconds", "60"},       {"fin_grace_seconds", "2"},
      {"client_buffer_bytes", "1048576"}, {"egress_addresses", "[]"},          {"udp_segment", "true"}};
  all[key] = value;
  std::string out = "{";
  for (const auto& [name, json] : all) out += (out.size() > 1 ? ", \"" : "\"") + name + "\": " + json;
  return out + "}";
}

TEST(UdpgwSettings, ReadsResolversWithAndWithoutPorts) {
  const UdpgwSettings settings(Options(options("dns_resolvers", R"(["system", "192.0.2.1", "[2001:db8::1]:5353"])")));
  EXPECT_TRUE(settings.system_resolvers);
  ASSERT_EQ(settings.resolvers.size(), 2u);
  EXPECT_EQ(settings.resolvers[0].to_string(), "192.0.2.1:53");
  EXPECT_EQ(settings.resolvers[1].to_string(), "[2001:db8::1]:5353");
}

TEST(UdpgwSettings, NamesAResolverThatIsNone) {
  try {
    UdpgwSettings(Options(options("dns_resolvers", R"(["dns.example"])")));
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "dns_resolvers: `dns.example` is neither \"system\" nor an address such as 192.0.2.1 or "
                 "[2001:db8::1]:5353");
  }
}

TEST(UdpgwSettings, SplitsEgressAddressesByFamily) {
  const UdpgwSettings settings(Options(options("egress_addresses", R"(["192.0.2.1", "2001:db8::1", "192.0.2.2"])")));
  EXPECT_EQ(settings.egress_v4.size(), 2u);
  EXPECT_EQ(settings.egress_v6.size(), 1u);
  EXPECT_THROW(UdpgwSettings(Options(options("egress_addresses", R"(["0.0.0.0"])"))), std::invalid_argument);
}

}  // namespace
}  // namespace gatehouse::udpgw
