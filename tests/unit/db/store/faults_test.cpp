// The conformance cases on a disk whose n-th call fails, for every n: the store goes on by itself, loses nothing that
// it has acknowledged, and takes neither a failing nor a powerless disk for a broken file.
#include "db/store/state_reader.hpp"
#include "tests/unit/db/store/cases.hpp"
#include "tests/unit/db/store/fault_vfs.hpp"

#include <gmock/gmock.h>

namespace gatehouse::db {
namespace {

using Call = FaultVfs::Call;
using Failure = FaultVfs::Failure;

struct Fault {
  const char* name;
  Call call;
  Failure how;
  std::uint64_t times;
  bool power_goes_too;  // after the case: what was not synced is lost
};

constexpr std::uint64_t kForGood = ~std::uint64_t{0};
constexpr Fault kFaults[] = {{"Write", Call::write, Failure::io, 1, true},
                             {"DiskFull", Call::write, Failure::full, 4, true},
                             {"ShortWrite", Call::write, Failure::short_write, 1, true},
                             {"Sync", Call::sync, Failure::io, 1, true},
                             {"SyncForAWhile", Call::sync, Failure::io, 3, true},
                             {"Truncate", Call::truncate, Failure::io, 2, true},
                             {"Open", Call::open, Failure::io, 1, false},
                             {"OpenForAWhile", Call::open, Failure::io, 5, true},
                             {"Read", Call::read, Failure::io, 1, false},
                             {"Map", Call::map, Failure::io, 1, false}};

void expect_ordinary_start(Life& life) {
  life.expect_promises();
  EXPECT_EQ(life.store().opening().unsure_until, 0) << "a false alarm";
  EXPECT_THAT(life.store().opening().moved, testing::IsEmpty()) << "a sound file was set aside";
  life.kill();
  EXPECT_THAT(verify(life.path()), testing::IsEmpty());
  EXPECT_THAT(verify(life.path().parent_path() / "secrets.db"), testing::IsEmpty());
}

/// @return were there so many calls?
bool runs_with(const Fault& fault, std::uint64_t n, const std::filesystem::path& state_db, void (*run)(Life&)) {
  FaultVfs disk;
  Life life(state_db);
  life.set_tries(12);
  disk.fail(fault.call, n, fault.times, fault.how);
  life.open();
  run(life);
  const bool failed = disk.failures() > 0;
  disk.heal();
  life.kill();
  if (fault.power_goes_too) disk.cut_power(n);
  expect_ordinary_start(life);
  EXPECT_EQ(life.start_overs, 0);
  return failed;
}

/// The power goes at the n-th change of a file. @return were there so many?
bool runs_without_power_from(std::uint64_t n, const std::filesystem::path& state_db, void (*run)(Life&)) {
  FaultVfs disk;
  Life life(state_db);
  disk.fail(Call::change, n, kForGood, Failure::io);
  try {
    life.open();
    run(life);
  } catch (const StoreError&) {
  }
  const bool failed = disk.failures() > 0;
  life.kill();
  disk.heal();
  disk.cut_power(n);
  expect_ordinary_start(life);
  return failed;
}

class FailingDisk : public testing::TestWithParam<std::tuple<Fault, Case>> {};

TEST_P(FailingDisk, CostsNothingThatWasAcknowledged) {
  const auto& [fault, test] = GetParam();
  std::uint64_t n = 1;
  while (runs_with(fault, n, ReadyFolder().state_db(), test.run) && !HasFailure()) ++n;
  EXPECT_FALSE(HasFailure()) << "at call " << n;
  EXPECT_GT(n, 1u) << "no call failed";
}

class PowerlessDisk : public testing::TestWithParam<Case> {};

TEST_P(PowerlessDisk, CostsNothingThatWasAcknowledged) {
  std::uint64_t n = 1;
  while (runs_without_power_from(n, ReadyFolder().state_db(), GetParam().run) && !HasFailure()) ++n;
  EXPECT_FALSE(HasFailure()) << "at change " << n;
  EXPECT_GT(n, 20u);
}

/// A store is made on that disk.
class FailingNewDisk : public testing::TestWithParam<Fault> {};

std::filesystem::path in(const ScratchFolder& folder) { return folder.path() / "state.db"; }

TEST_P(FailingNewDisk, CostsNothingThatWasAcknowledged) {
  std::uint64_t n = 1;
  while (runs_with(GetParam(), n, in(ScratchFolder(memory_folder())), conformance_cases()[0].run) && !HasFailure()) ++n;
  EXPECT_FALSE(HasFailure()) << "at call " << n;
  EXPECT_GT(n, 1u) << "no call failed";
}

TEST(PowerlessNewDisk, CostsNothingThatWasAcknowledged) {
  std::uint64_t n = 1;
  while (runs_without_power_from(n, in(ScratchFolder(memory_folder())), conformance_cases()[0].run) && !HasFailure())
    ++n;
  EXPECT_FALSE(HasFailure()) << "at change " << n;
}

const auto kCases = testing::ValuesIn(conformance_cases().begin(), conformance_cases().end());
INSTANTIATE_TEST_SUITE_P(Sqlite, FailingDisk, testing::Combine(testing::ValuesIn(kFaults), kCases),
                         [](const auto& test) {
                           return std::string(std::get<0>(test.param).name) + std::get<1>(test.param).name;
                         });
INSTANTIATE_TEST_SUITE_P(Sqlite, FailingNewDisk,
                         testing::Values(kFaults[0], kFaults[1], kFaults[2], kFaults[3], kFaults[6],
                                         Fault{"Remove", Call::remove, Failure::io, 1, true}),
                         [](const auto& test) { return std::string(test.param.name); });
INSTANTIATE_TEST_SUITE_P(Sqlite, PowerlessDisk, kCases, [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace gatehouse::db
