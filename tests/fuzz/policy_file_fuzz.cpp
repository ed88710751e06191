// A policy.db that anybody has written is in force or refused with a sentence: at a start, and when it is edited while
// the gateway has it open.
#include "db/policy/history.hpp"
#include "db/policy/policy_copy.hpp"
#include "db/policy/policy_database.hpp"
#include "policy/compile.hpp"

#include "tests/fuzz/edited_database.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>

namespace gatehouse {
namespace {

constexpr unsigned kMostEdits = 8;  // before the file is opened, and again while it is
constexpr std::array kRows = {
    "INSERT INTO groups (id, name, priority) VALUES (1, 'kids', 50)",
    "INSERT INTO group_members (group_id, pattern) VALUES (1, 'token:bob')",
    "INSERT INTO group_members (group_id, kind, pattern) VALUES (1, 'source', '192.0.2.0/24')",
    "INSERT INTO credentials (kind, value, identity) VALUES ('unix', 'backup', 'unix:nightly')",
    "INSERT INTO domain_rules (group_id, domain, expires_at) VALUES (1, 'ads.example', 4102444800)",
    "INSERT INTO domain_lists (name, file) VALUES ('ads', 'gone.names')",
    "INSERT INTO port_permits (group_id, transport, ports, destination) VALUES (1, 'udp', '53', '10.1.0.0/16')",
    "INSERT INTO traffic_rules (group_id, rate_down, quota_bytes) VALUES (1, 1000000, 1000)",
    "INSERT INTO admissions (group_id, plugin, action) VALUES (1, 'echo', 'deny')",
};

/// Once for each of those that follow each other and are the same: to compile one takes longer than to read it.
void check(const policy::Model& model) {
  static policy::Model last;
  if (last == model) return;
  last = model;
  const policy::Compiled compiled = policy::compile(model, {}, 1, 0);
  for (const policy::Problem& problem : compiled.problems) require(!problem.sentence.empty());
  const auto group = compiled.snapshot->group_of({"udpgw", "127.0.0.1:7300", "token:bob", {}});
  policy::SideHits hits;
  const policy::Flow flow{IpAddress::v4(0x08080808), 53, policy::kUdp, policy::kFlowNamed, "ads.example"};
  require(compiled.snapshot->judge({group, false}, flow, hits).reason != policy::Reason::none);
}

/// What the gateway and the command line do beside that, each at the cost of further openings.
enum Also : unsigned { kCopy = 1, kHistory = 2 };

void check_file(const std::filesystem::path& path, unsigned also, Script& script) {
  const auto copy = [&] { db::copy_policy(path, db::last_good_path(path), db::former_good_path(path)); };
  attempt([&] { db::prepare_policy(path); });
  attempt([&] {
    db::PolicyDatabase database(path);
    attempt([&] { check(database.load()); });
    if ((also & kCopy) != 0) attempt(copy);
    edit(path, script, kMostEdits);
    attempt([&] { static_cast<void>(database.changed()); });
    attempt([&] { check(database.load()); });
    for (const std::string_view table : db::policy_tables())
      attempt([&] { static_cast<void>(database.read_table(table)); });
  });
  if ((also & kCopy) != 0) attempt(copy);
  if ((also & kHistory) != 0) attempt([&] { static_cast<void>(db::History(path).net_since(0)); });
}

void check_input(Bytes input) {
  static const MemoryFolder folder;
  static const BaseFiles files(db::policy_kind(), kRows, folder.path());
  const std::filesystem::path path = folder.path() / "policy.db";
  Script script(input);
  files.write(path, script);
  const unsigned also = script.byte();
  const unsigned before = script.byte() % kMostEdits;
  edit(path, script, before);
  check_file(path, also, script);
  folder.empty();
}

}  // namespace
}  // namespace gatehouse

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  gatehouse::check_input(gatehouse::fuzz_input(data, size));
  return 0;
}
