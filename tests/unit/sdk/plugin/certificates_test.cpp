#include <gatehouse/plugin/certificates.hpp>

#include "tests/unit/sdk/plugin/border_host.hpp"

#include <gtest/gtest.h>

namespace gatehouse {
namespace {

std::uint64_t generation_of_all = 7;

constexpr gh_certificates kTable = {sizeof(gh_certificates), 0, nullptr, &generation_of_all,
                                    [](void*, gh_lane*, std::uint32_t listener, gh_certificate* out) -> gh_status {
                                      if (listener == 9) return GH_E_FAILED;
                                      if (listener != 1 || out->struct_size < sizeof *out) return GH_E_NOT_FOUND;
                                      out->generation = 5;
                                      out->chain = to_border("chain");
                                      out->key = to_border("key");
                                      return GH_OK;
                                    }};

TEST(Certificates, AreTakenByListener) {
  const BorderHost border(GH_CERTIFICATES_ID, &kTable);
  const Host host = border.host();
  gh_lane lane{};
  const Certificates certificates(host, &lane);
  EXPECT_EQ(certificates.generation(), 7u);
  const auto one = certificates.get(1);
  ASSERT_TRUE(one);
  EXPECT_EQ(one->generation, 5u);
  EXPECT_EQ(one->chain, "chain");
  EXPECT_EQ(one->key, "key");
  EXPECT_EQ(one->client_ca, "");
  EXPECT_FALSE(certificates.get(2));
  EXPECT_THROW(static_cast<void>(certificates.get(9)), std::runtime_error);
}

TEST(Certificates, AreNoneWhereTheHostKnowsOfNoTls) {
  const BorderHost border(GH_CERTIFICATES_ID, nullptr);
  const Host host = border.host();
  const Certificates certificates(host, nullptr);
  EXPECT_EQ(certificates.generation(), 0u);
  EXPECT_FALSE(certificates.get(1));
}

}  // namespace
}  // namespace gatehouse
