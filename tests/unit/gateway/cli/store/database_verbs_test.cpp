#include "gateway/cli/store/database_verbs.hpp"

#include "db/policy/policy_database.hpp"
#include "tests/unit/gateway/cli/policy/import_domains.hpp"
#include "tests/unit/gateway/cli/store/store_files.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <sys/stat.h>

namespace gatehouse {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using DatabaseVerbs = StoreFiles;

TEST_F(DatabaseVerbs, BackUpACopyThatOpens) {
  fill();
  const auto copy = folder_.path() / "copy.db", secrets = folder_.path() / "secrets-copy.db";
  const Outcome outcome = call({"db", "backup", copy.string(), "--json", "--config", config()});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["bytes"], std::filesystem::file_size(copy));
  const Outcome again = call({"db", "backup", copy.string(), "--config", config()});
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("copy.db is there already"));
  EXPECT_EQ(call({"db", "backup", secrets.string(), "--secrets", "--config", config()}).code, 0);
  struct stat about {};
  ASSERT_EQ(stat(secrets.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  EXPECT_THAT(call({"leases", "--config", config("[store]\nurl = \"sqlite:" + copy.string() + "\"\n")}).out,
              HasSubstr("vni:7"));
}

TEST_F(DatabaseVerbs, BackUpSecretsToNoFolderOfOthers) {
  fill();
  const auto open = folder_.path() / "open";
  std::filesystem::create_directory(open);
  const auto back_up = [&](mode_t mode) {
    EXPECT_EQ(chmod(open.c_str(), mode), 0);
    return call({"db", "backup", (open / "copy.db").string(), "--secrets", "--config", config()});
  };
  const Outcome refused = back_up(0777);
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr(open.string() + " may be written by everybody"));
  EXPECT_TRUE(std::filesystem::is_empty(open));
  EXPECT_EQ(back_up(01777).code, 0) << "as /tmp is";
}

TEST_F(DatabaseVerbs, BackUpSaysWhatIsNotThere) {
  const auto copy = (folder_.path() / "copy.db").string();
  const Outcome none = call({"db", "backup", copy, "--config", config()});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("state.db"));
  EXPECT_FALSE(std::filesystem::exists(copy));
  EXPECT_THAT(call({"db", "backup", copy, "--config", config("[store]\nurl = \"memory:\"\n")}).err,
              HasSubstr("the store is memory:, which has no file to copy"));
}

TEST_F(DatabaseVerbs, VerifyNamesWhatIsBroken) {
  EXPECT_EQ(call({"db", "verify", "--config", config()}).code, 1);
  fill();
  const Outcome good = call({"db", "verify", "--json", "--config", config()});
  EXPECT_EQ(good.code, 0) << good.out;
  EXPECT_EQ(nlohmann::json::parse(good.out)["databases"][2]["state"], "missing");
  EXPECT_EQ(call({"policy", "init", "--config", config()}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(call({"db", "verify", "--json", "--config", config()}).out)["databases"][2]["state"],
            "ok");
  folder_.write("state/secrets.db", std::string(8192, 'x'));
  const Outcome bad = call({"db", "verify", "--config", config()});
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, AllOf(StartsWith("state  broken\n"), HasSubstr("secrets.db  broken")));
}

TEST_F(DatabaseVerbs, BackupOfThePolicyTakesItsListsAlong) {
  db::prepare_policy(state_ / "policy.db");
  import_domains(state_ / "policy.db", "ads", "ads.test\n");
  std::filesystem::create_directory(folder_.path() / "copy");
  const std::string copy = (folder_.path() / "copy" / "p.db").string();
  EXPECT_EQ(call({"db", "backup", copy, "--policy", "--config", config()}).code, 0);
  std::filesystem::remove_all(state_ / "lists");
  const Outcome explained =
      call({"policy", "explain", "udp", "8.8.8.8:53", "--domain", "x.ads.test", "--db", copy, "--config", config()});
  EXPECT_EQ(explained.code, 1) << explained.out;
  const Outcome lacking = call({"db", "backup", copy + "2", "--policy", "--config", config()});
  EXPECT_EQ(lacking.code, 0);
  EXPECT_THAT(lacking.err, AllOf(HasSubstr(".names is not in"), HasSubstr("import its list again")));
}

TEST_F(DatabaseVerbs, RefuseWrongUse) {
  EXPECT_EQ(call({"db"}).code, 2);
  EXPECT_EQ(call({"db", "backup", "--config", config()}).code, 2);
  EXPECT_EQ(call({"db", "backup", "x", "--policy", "--secrets", "--config", config()}).code, 2);
}

}  // namespace
}  // namespace gatehouse
