// The border's rules for sessions and values, held against the gateway with its SQLite files: on a sound disk, and on
// one whose n-th call fails, for n = 1 to N and each kind of failure. What was acknowledged is never lost.
#include "tests/unit/conformance/session_conformance.hpp"
#include "tests/unit/conformance/value_conformance.hpp"
#include "tests/unit/gateway/store/sqlite_host.hpp"

namespace gatehouse::conformance {
namespace {

using Call = db::FaultVfs::Call;
using Failure = db::FaultVfs::Failure;

struct Kind {
  DiskFault fault;
  std::uint64_t n;  // as many as a test has that does little, and its next start
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{{{"Write", Call::write, Failure::io, 1, true}, 8},
                                     {{"DiskFull", Call::write, Failure::full, 4, true}, 4},
                                     {{"ShortWrite", Call::write, Failure::short_write, 1, true}, 5},
                                     {{"Sync", Call::sync, Failure::io, 1, true}, 6},
                                     {{"SyncForAWhile", Call::sync, Failure::io, 3, true}, 4},
                                     {{"Truncate", Call::truncate, Failure::io, 2, true}, 2},
                                     {{"Open", Call::open, Failure::io, 1, false}, 4},
                                     {{"Read", Call::read, Failure::io, 1, false}, 4},
                                     {{"Map", Call::map, Failure::io, 1, false}, 2}};
  return all;
}

std::vector<DiskFault> faults() {
  std::vector<DiskFault> out;
  for (const Kind& kind : kinds()) {
    for (std::uint64_t n = 1; n <= kind.n; ++n) {
      out.push_back(kind.fault);
      out.back().first = n;
    }
  }
  return out;
}

MakeStoreHost make(const std::optional<DiskFault>& fault) {
  return [fault] { return std::make_unique<SqliteHost>(fault); };
}

std::vector<MakeStoreHost> faulty_hosts() {
  std::vector<MakeStoreHost> out;
  for (const DiskFault& fault : faults()) out.push_back(make(fault));
  return out;
}

std::string name_of(const testing::TestParamInfo<MakeStoreHost>& test) {
  const DiskFault fault = faults()[test.index];
  return fault.name + std::to_string(fault.first);
}

INSTANTIATE_TEST_SUITE_P(Sqlite, SessionConformance, testing::Values(make({})));
INSTANTIATE_TEST_SUITE_P(Sqlite, ValueConformance, testing::Values(make({})));
INSTANTIATE_TEST_SUITE_P(FailingDisk, SessionConformance, testing::ValuesIn(faulty_hosts()), name_of);
INSTANTIATE_TEST_SUITE_P(FailingDisk, ValueConformance, testing::ValuesIn(faulty_hosts()), name_of);

/// A fault that never comes about tests nothing.
class EachFaultCameAbout final : public testing::Environment {
  void TearDown() override {
    if (testing::UnitTest::GetInstance()->test_to_run_count() < static_cast<int>(faults().size())) return;
    for (const Kind& kind : kinds()) EXPECT_GT(failures_of(kind.fault.name), 0u) << kind.fault.name;
  }
};
const auto* const environment = testing::AddGlobalTestEnvironment(new EachFaultCameAbout);

}  // namespace
}  // namespace gatehouse::conformance
