// "No function throws": each of the host's functions with its first allocation failing, its second, and so on.
#include "gateway/services/certificates.hpp"
#include "gateway/services/fds.hpp"
#include "gateway/services/identity.hpp"
#include "gateway/services/log.hpp"
#include "gateway/services/metrics.hpp"
#include "gateway/services/sessions.hpp"
#include "gateway/services/values.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/conformance/store_host.hpp"
#include "tests/unit/gateway/services/policy_table.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gmock/gmock.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <filesystem>

namespace gatehouse {
namespace {

using conformance::Told;

/// Calls call() until it needs no more memory than it gets: with its first allocation failing, its second, ... What it
/// says is GH_E_FAILED, or GH_OK where it can do without.
/// @return how often it was tried before
template <class Call>
std::size_t fail_each(Call call) {
  for (std::size_t nth = 1;; ++nth) {
    gh_status status = GH_OK;
    bool failed = false;
    {
      const FailingAllocation one(nth);
      status = call();
      failed = one.has_failed();
    }
    if (!failed) {
      EXPECT_EQ(status, GH_OK);
      return nth - 1;
    }
    EXPECT_TRUE(status == GH_E_FAILED || status == GH_OK) << "allocation " << nth << ": status " << status;
  }
}

std::ptrdiff_t open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
}

const std::string kName(100, 'n');  // longer than any string without memory of its own

TEST(OutOfMemory, OfDescriptors) {
  PluginFds face(std::make_shared<FdTable>(), kName);
  const gh_fds& table = *face.table();
  std::array<std::int32_t, 2> pipe_ends{}, out{};
  ASSERT_EQ(pipe2(pipe_ends.data(), O_CLOEXEC), 0);
  const std::ptrdiff_t before = open_descriptors();
  EXPECT_GT(fail_each([&] { return table.keep(table.context, to_border(kName), pipe_ends.data(), 2); }), 2u);
  EXPECT_EQ(open_descriptors(), before + 2);
  std::size_t count = 0;
  EXPECT_GT(fail_each([&] { return table.take(table.context, to_border(kName), out.data(), 2, &count); }), 0u);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(open_descriptors(), before + 2);
  for (const std::int32_t fd : {pipe_ends[0], pipe_ends[1], out[0], out[1]}) close(fd);
}

TEST(OutOfMemory, OfLogLines) {
  const auto journal = std::make_shared<Journal>(GH_LOG_ERROR, LogFormat::json);
  PluginLog face(journal, kName);
  const gh_log& table = *face.table();
  const gh_log_field field{to_border("key"), to_border(kName)};
  const std::size_t failed = fail_each([&]() -> gh_status {
    table.write(table.context, GH_LOG_ERROR, to_border(kName), &field, 1);
    return GH_OK;
  });
  EXPECT_GT(failed, 2u);
  EXPECT_EQ(journal->dropped(), failed);
  journal->flush();
}

TEST(OutOfMemory, OfSeries) {
  PluginMetrics face("udpgw", 2);
  const gh_metrics& table = *face.table();
  HostLane lane;
  lane.head.index = 1;
  const gh_metric_label label{to_border("cause"), to_border(kName)};
  gh_metric metric{sizeof metric, GH_METRIC_COUNTER, to_border(kName), to_border(kName), &label, 1, nullptr, 0};
  gh_metric strange = metric;
  strange.kind = GH_METRIC_HISTOGRAM + 1;
  std::uint64_t* const shared = table.cells(table.context, &lane.head, &strange);
  std::uint64_t* cells = nullptr;
  const std::size_t failed = fail_each([&]() -> gh_status {
    cells = table.cells(table.context, &lane.head, &metric);
    EXPECT_NE(cells, nullptr);
    return cells == shared ? GH_E_FAILED : GH_OK;
  });
  EXPECT_GT(failed, 3u);
  EXPECT_NE(cells, shared);
  EXPECT_EQ(table.cells(table.context, &lane.head, &metric), cells);
}

TEST(OutOfMemory, OfCertificates) {
  const auto all = std::make_shared<CertificateTable>();
  const auto listeners = std::make_shared<ListenerNames>();
  for (int listener = 0; listener < 2; ++listener) listeners->add("p", "");
  const PluginCertificates face(all, listeners, "p");
  all->publish(1, {kName, kName, kName});
  HostLane lane;
  gh_certificate out{};
  out.struct_size = sizeof out;
  fail_each([&] { return face.table()->get(face.table()->context, &lane.head, 1, &out); });
  EXPECT_EQ(from_border(out.key), kName);
}

TEST_F(PolicyTable, WithoutMemoryKnowsNobody) {
  const PluginIdentities face(std::make_shared<UserNames>(), kName);
  const gh_identity& identities = *face.table();
  std::array<char, 256> out{};
  std::size_t size = 0;
  EXPECT_GT(fail_each([&]() -> gh_status {
              const gh_status status = identities.resolve(identities.context, &lane.head, GH_CREDENTIAL_TOKEN,
                                                          to_border(kName), out.data(), out.size(), &size, nullptr);
              return status == GH_E_NOT_FOUND ? gh_status{GH_OK} : status;
            }),
            0u);
}

TEST_F(PolicyTable, WithoutMemoryOpensNoClient) {
  gh_client_facts facts{sizeof(gh_client_facts), front, {}, to_border(kName), 0};
  gh_client* client = nullptr;
  EXPECT_GT(fail_each([&]() -> gh_status {
              gh_verdict verdict{};
              verdict.struct_size = sizeof verdict;
              client = table->client_open(table->context, &lane.head, &facts, &verdict);
              EXPECT_EQ(verdict.action, client == nullptr ? GH_ACTION_DENY : GH_ACTION_ALLOW);
              return client == nullptr ? GH_E_FAILED : GH_OK;
            }),
            2u);
  close(client);
}

TEST_F(PolicyTable, WithoutMemoryForItsMetersOpensNoClient) {
  policy::TrafficRule row;
  row.rate_up = 1000;
  rule("session", row);
  const gh_client_facts facts{sizeof facts, UINT32_MAX, {}, {}, 0};
  std::size_t refused = 0;
  const std::size_t failed = fail_each([&]() -> gh_status {
    gh_verdict verdict = no_verdict();
    gh_client* const client = table->client_open(table->context, &lane.head, &facts, &verdict);
    if (client == nullptr) {
      EXPECT_EQ(verdict.action, GH_ACTION_DENY);
      ++refused;
      return GH_E_FAILED;
    }
    EXPECT_EQ(consume(client, 1000), 0u);
    EXPECT_NE(consume(client, 1000), 0u) << "its limits hold";
    close(client);
    return GH_OK;
  });
  EXPECT_GT(failed, 1u);
  EXPECT_EQ(refused, failed);
}

/// A store whose disk answers nobody.
class OutOfStoreMemory : public testing::Test {
 protected:
  /// Each call that went well is completed when the disk fails, and no other.
  void expect_completions(std::size_t count) {
    durability->set_failing(true);
    EXPECT_EQ(told.calls().size(), count);
    durability->set_failing(false);
  }

  std::shared_ptr<Durability> durability = std::make_shared<Durability>();
  Told told;
  gh_completion durable = told.completion();
};

TEST_F(OutOfStoreMemory, OfValues) {
  const auto all = std::make_shared<ValueTable>(durability);
  const PluginValues face(all, durability, kName);
  const gh_values& table = *face.table();
  EXPECT_GT(
      fail_each([&] { return table.put(table.context, to_border(kName), to_border(kName), GH_VALUE_PLAIN, &durable); }),
      3u);
  std::array<std::uint8_t, 256> out{};
  std::size_t size = 0;
  EXPECT_GT(fail_each([&] { return table.get(table.context, to_border(kName), out.data(), out.size(), &size); }), 0u);
  EXPECT_EQ(size, kName.size());
  std::uint64_t first = 0;
  const std::string number = kName + "1";
  EXPECT_GT(fail_each([&] { return table.reserve(table.context, to_border(number), 10, &first, &durable); }), 3u);
  EXPECT_EQ(first, 1u);  // what failed has set nothing aside
  EXPECT_GT(fail_each([&] { return table.put(table.context, to_border(kName), {}, GH_VALUE_PLAIN, &durable); }), 0u);
  EXPECT_EQ(table.get(table.context, to_border(kName), out.data(), out.size(), &size), GH_E_NOT_FOUND);
  expect_completions(3);
}

TEST_F(OutOfStoreMemory, OfSessions) {
  const auto all = std::make_shared<SessionTable>(durability);
  PluginSessions face(all, kName);
  const gh_sessions& table = *face.table();
  HostLane lane;
  gh_session session{};
  const auto fill = [&] {
    session = {};
    session.struct_size = sizeof session;
    session.key = to_border(kName);
    session.blob = to_border(kName);
  };
  EXPECT_GT(fail_each([&] {
              fill();
              return table.open(table.context, &lane.head, &session, &durable);
            }),
            3u);
  EXPECT_EQ(all->count(kName), 1u);
  EXPECT_EQ(session.resumed, 0u);  // what failed has left no session behind
  const std::uint64_t id = session.id;
  EXPECT_GT(fail_each([&] {
              fill();
              return table.open(table.context, &lane.head, &session, &durable);
            }),
            0u);
  EXPECT_EQ(session.resumed, 1u);
  EXPECT_EQ(session.id, id);
  EXPECT_GT(fail_each([&] {
              fill();
              session.id = id;
              return table.touch(table.context, &lane.head, &session, &durable);
            }),
            0u);
  const gh_lease lease{sizeof lease, 0, to_border(kName), id, 0};
  EXPECT_GT(fail_each([&] { return table.lease(table.context, &lane.head, &lease, &durable); }), 1u);
  std::size_t seen = 0;
  EXPECT_GT(fail_each([&] {
              seen = 0;
              return table.for_each(
                  table.context, [](void* count, const gh_session*) { ++*static_cast<std::size_t*>(count); },
                  [](void* count, const gh_lease*) { ++*static_cast<std::size_t*>(count); }, &seen);
            }),
            1u);
  EXPECT_EQ(seen, 2u);
  expect_completions(4);
  fail_each([&] { return table.release(table.context, &lane.head, id, to_border(kName)); });
  EXPECT_TRUE(all->leases().rows().empty());
  fail_each([&] { return table.end(table.context, &lane.head, id); });
  EXPECT_EQ(all->count(kName), 0u);
}

}  // namespace
}  // namespace gatehouse
