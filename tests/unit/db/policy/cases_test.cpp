// Runs tests/unit/db/policy/cases/*.txt: rows by SQL through the real schema, then verdicts. See the README there.
#include "db/migrations.hpp"
#include "db/policy/policy_database.hpp"
#include "policy/compile.hpp"
#include "tests/unit/db/scratch.hpp"
#include "tests/unit/folders.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace gatehouse::db {
namespace {

using policy::Verdict;

std::vector<std::string> case_files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() / "tests/unit/db/policy/cases"))
    if (entry.path().extension() == ".txt") out.push_back(entry.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}

IpAddress address(const std::string& text) { return IpAddress::parse(text).value(); }

policy::Surroundings surroundings() {
  policy::Surroundings out;
  for (const char* own : {"192.168.1.5", "9.9.9.5", "2a00::5"}) out.own.push_back(Prefix::parse(own).value());
  out.broadcast = {Prefix::parse("192.168.1.255").value()};
  out.listeners = {{{address("127.0.0.1"), 7300, 0}, policy::kTcp}, {{address("0.0.0.0"), 7500, 0}, policy::kUdp}};
  out.claims = {{Prefix::parse("10.8.0.0/16").value(), "tunnel"}};
  return out;
}

/// One line of a case: what is asked.
struct Question {
  explicit Question(const std::string& text) {
    std::istringstream in(text);
    std::string transport, to, item;
    in >> transport >> to >> flow.port;
    flow.transport = transport == "tcp" ? policy::kTcp : transport == "udp" ? policy::kUdp : 1;
    flow.destination = address(to);
    while (in >> item) take(item.substr(0, item.find('=')), item.substr(item.find('=') + 1));
    client = {plugin, listener, identity, source};
    flow.domain = domain;
    if (!domain.empty()) flow.flags |= policy::kFlowNamed;
  }

  void take(const std::string& key, const std::string& value) {
    if (key == "identity")
      identity = value;
    else if (key == "source")
      source = address(value);
    else if (key == "plugin")
      plugin = value;
    else if (key == "listener")
      listener = value;
    else if (key == "domain")
      domain = value;
    else if (key == "local")
      local = value == "1";
    else if (key == "flags") {
      if (value.find("resolver") != value.npos) flow.flags |= policy::kFlowResolver;
      if (value.find("peer") != value.npos) flow.flags |= policy::kFlowPeer;
      if (value.find("bad_name") != value.npos) flow.flags |= policy::kFlowBadName;
    } else {
      ADD_FAILURE() << "unknown key " << key;
    }
  }

  std::string identity, plugin = "udpgw", listener = "127.0.0.1:7300", domain;
  IpAddress source;
  policy::ClientFacts client;
  policy::Flow flow;
  bool local = false;
};

std::string told(const Verdict& verdict) {
  std::string out = std::string(to_text(verdict.action)) + ' ' + std::string(to_text(verdict.reason));
  if (verdict.table != policy::Table::none)
    out += ' ' + std::string(to_text(verdict.table)) + ' ' + std::to_string(verdict.row);
  return out;
}

class PolicyCase : public testing::TestWithParam<std::string> {};

TEST_P(PolicyCase, GivesTheVerdictsOfItsFile) {
  std::ifstream in(source_folder() / "tests/unit/db/policy/cases" / (GetParam() + ".txt"));
  std::string sql = "DELETE FROM port_permits; DELETE FROM settings;\n", line;
  while (std::getline(in, line) && line != "----") sql += line + '\n';

  const ScratchFolder folder;
  prepare_policy(folder.path() / "policy.db");
  ASSERT_EQ(run_sqlite_shell(folder.path() / "policy.db", sql), "");
  const auto compiled = policy::compile(PolicyDatabase(folder.path() / "policy.db").load(), surroundings(), 1, 1000);
  ASSERT_TRUE(compiled.problems.empty()) << compiled.problems[0].sentence;

  int asked = 0;
  while (std::getline(in, line)) {
    if (line.empty() || line[0] == '#') continue;
    const auto arrow = line.find(" => ");
    ASSERT_NE(arrow, line.npos) << line;
    const Question question(line.substr(0, arrow));
    const auto& snapshot = *compiled.snapshot;
    EXPECT_EQ(told(snapshot.judge(snapshot.standing_of(question.client, question.local), question.flow)),
              line.substr(arrow + 4))
        << line;
    ++asked;
  }
  EXPECT_GT(asked, 0);
}

INSTANTIATE_TEST_SUITE_P(Files, PolicyCase, testing::ValuesIn(case_files()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace gatehouse::db
