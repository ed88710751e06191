// gh.identity/1 as a plugin calls it.
#include "gateway/services/identity.hpp"
#include "gateway/base/border.hpp"
#include "gateway/base/sha256.hpp"
#include "policy/compile.hpp"

#include <gmock/gmock.h>

#include <array>

namespace gatehouse {
namespace {

using policy::Credential;

class Identity : public testing::Test {
 protected:
  void publish(std::vector<Credential> rows) {
    policy::Model model;
    model.credentials = std::move(rows);
    board_->publish(policy::compile(model, {}, ++generation_, 1000).snapshot);
  }
  /// What a plugin gets; "" = nobody's.
  static std::string asked(const PluginIdentities& face, std::uint32_t kind, std::string_view value) {
    const gh_identity& table = *face.table();
    std::array<char, 256> out;
    std::size_t size = 0;
    const gh_status status =
        table.resolve(table.context, nullptr, kind, border_bytes(value), out.data(), out.size(), &size);
    EXPECT_EQ(status, status == GH_OK ? GH_OK : GH_E_NOT_FOUND);
    return status == GH_OK ? std::string(out.data(), size) : "";
  }

  std::uint64_t generation_ = 0;
  std::shared_ptr<SnapshotBoard> board_ =
      std::make_shared<SnapshotBoard>(policy::Snapshot::without_policy(generation_));
  PluginIdentities udpgw_{board_, "udpgw"};
};

TEST_F(Identity, OfAUnixUserIsItsNameUnlessARowSaysOtherwise) {
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "0"), "unix:root");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "4000000000"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "0x"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, ""), "");
  publish({{1, "unix", "root", "unix:admin", "udpgw", {}}});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_UNIX, "0"), "unix:admin");
  EXPECT_EQ(asked(PluginIdentities(board_, "echo"), GH_CREDENTIAL_UNIX, "0"), "unix:root");
}

TEST_F(Identity, OfATokenFollowsTheNewestPolicy) {
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "secret"), "");
  publish({{1, "token", to_hex(sha256("secret")), "token:bob", {}, {}}});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "secret"), "token:bob");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "Secret"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, to_hex(sha256("secret"))), "") << "the row's value opens nothing";
  publish({});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_TOKEN, "secret"), "");
}

TEST_F(Identity, OfCertificatesAndRelayKeys) {
  publish({{1, "cert", "bob.example", "cert:bob.example", {}, {}}, {2, "relay_key", "*", "relay:any", {}, {}}});
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_CERT, "bob.example"), "cert:bob.example");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_CERT, "ann.example"), "");
  EXPECT_EQ(asked(udpgw_, GH_CREDENTIAL_RELAY_KEY, "00ff"), "relay:any");
  EXPECT_EQ(asked(udpgw_, 99, "bob.example"), "");
}

TEST_F(Identity, IsNotCutToASmallBuffer) {
  const gh_identity& table = *udpgw_.table();
  std::array<char, 3> out;
  std::size_t size = 0;
  EXPECT_EQ(table.resolve(table.context, nullptr, GH_CREDENTIAL_UNIX, border_bytes("0"), out.data(), out.size(), &size),
            GH_E_LIMIT);
}

}  // namespace
}  // namespace gatehouse
