#include "gateway/services/certificates.hpp"

#include "gateway/base/lane.hpp"

#include <gatehouse/plugin/host.hpp>

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

class CertificatesTest : public testing::Test {
 protected:
  gh_status get(std::uint32_t listener) {
    out = {};
    out.struct_size = sizeof out;
    return table.get(table.context, &lane.head, listener, &out);
  }

  CertificatesTest() {
    for (int listener = 0; listener < 5; ++listener) listeners->add("mine", "tcp://[::1]:1");
    listeners->add("another", "tcp://[::1]:2");  // 5
  }

  std::shared_ptr<CertificateTable> all = std::make_shared<CertificateTable>();
  std::shared_ptr<ListenerNames> listeners = std::make_shared<ListenerNames>();
  PluginCertificates face{all, listeners, "mine"};
  const gh_certificates& table = *face.table();
  HostLane lane;
  gh_certificate out{};
};

TEST_F(CertificatesTest, AreAListenersOwn) {
  EXPECT_TRUE(all->publish(3, {"chain", "key", "ca"}));
  ASSERT_EQ(get(3), GH_OK);
  EXPECT_EQ(from_border(out.chain), "chain");
  EXPECT_EQ(from_border(out.key), "key");
  EXPECT_EQ(from_border(out.client_ca), "ca");
  EXPECT_EQ(get(4), GH_E_NOT_FOUND);
}

TEST_F(CertificatesTest, SayHowStreamsAreToBeEncrypted) {
  all->publish(3, {.chain = "chain",
                   .key = "key",
                   .alpn = "\2h2",
                   .ticket_key = "now",
                   .ticket_key_before = "before",
                   .least_version = 0x0303,
                   .ktls = true});
  ASSERT_EQ(get(3), GH_OK);
  EXPECT_EQ(from_border(out.alpn), "\2h2");
  EXPECT_EQ(from_border(out.ticket_key), "now");
  EXPECT_EQ(from_border(out.ticket_key_before), "before");
  EXPECT_EQ(out.least_version, 0x0303u);
  EXPECT_EQ(out.ktls, 1u);
  all->publish(4, {"chain", "key", ""});
  ASSERT_EQ(get(4), GH_OK);
  EXPECT_EQ(out.least_version, 0x0304u);
  EXPECT_EQ(out.ktls, 0u);
  EXPECT_EQ(out.ticket_key.size + out.ticket_key_before.size + out.alpn.size, 0u);
}

TEST_F(CertificatesTest, MoveTheGenerationWithTheirTicketKeys) {
  EXPECT_TRUE(all->publish(3, {.chain = "chain", .key = "key", .ticket_key = "1"}));
  EXPECT_TRUE(all->publish(3, {.chain = "chain", .key = "key", .ticket_key = "2", .ticket_key_before = "1"}));
  EXPECT_FALSE(all->publish(3, {.chain = "chain", .key = "key", .ticket_key = "2", .ticket_key_before = "1"}));
}

TEST_F(CertificatesTest, AreNotGivenToAnotherPlugin) {
  all->publish(5, {"chain", "key", ""});
  EXPECT_EQ(get(5), GH_E_NOT_FOUND);
  EXPECT_EQ(out.key.size, 0u);
  EXPECT_EQ(listeners->name_of("mine", 5), "");
  EXPECT_EQ(listeners->name_of("another", 5), "tcp://[::1]:2");
}

TEST_F(CertificatesTest, MoveTheGenerationWhenTheyChange) {
  const std::uint64_t first = *table.generation;
  EXPECT_TRUE(all->publish(3, {"chain", "key", ""}));
  const std::uint64_t second = *table.generation;
  EXPECT_GT(second, first);
  EXPECT_FALSE(all->publish(3, {"chain", "key", ""}));
  EXPECT_EQ(*table.generation, second);
  ASSERT_EQ(get(3), GH_OK);
  EXPECT_EQ(out.generation, second);

  EXPECT_TRUE(all->publish(4, {"other", "key", ""}));
  EXPECT_GT(*table.generation, second);
  ASSERT_EQ(get(3), GH_OK);
  EXPECT_EQ(out.generation, second);
  EXPECT_TRUE(all->remove(3));
  EXPECT_FALSE(all->remove(3));
  EXPECT_EQ(get(3), GH_E_NOT_FOUND);
}

TEST_F(CertificatesTest, AreLentUntilTheLanesNextCall) {
  all->publish(3, {std::string(4000, 'c'), "key", ""});
  ASSERT_EQ(get(3), GH_OK);
  const gh_bytes lent = out.chain;
  all->publish(3, {std::string(4000, 'd'), "key", ""});
  all->remove(3);
  EXPECT_EQ(from_border(lent), std::string(4000, 'c'));
}

TEST_F(CertificatesTest, AreGivenToNobodyWhoseStructIsTooSmall) {
  all->publish(3, {"chain", "key", ""});
  out = {};
  out.struct_size = GH_SIZE_1_0(gh_certificate) - 8;
  EXPECT_EQ(table.get(table.context, &lane.head, 3, &out), GH_E_INVALID);
}

}  // namespace
}  // namespace gatehouse
