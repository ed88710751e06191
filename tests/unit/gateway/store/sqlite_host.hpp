// The gateway's store on SQLite files, for the conformance suites: on a sound disk, or on one that fails.
#pragma once

#include "gateway/store/store_writer.hpp"
#include "tests/unit/conformance/store_host.hpp"
#include "tests/unit/db/store/fault_vfs.hpp"
#include "tests/unit/db/store/life.hpp"

#include <memory>
#include <optional>
#include <string>

namespace gatehouse::conformance {

/// The calls number `first` to `first + times - 1`, counted from when the gateway has begun, fail.
struct DiskFault {
  std::string name;
  db::FaultVfs::Call call;
  db::FaultVfs::Failure how;
  std::uint64_t times;
  bool power_goes_too;  // at each crash: what was not synced is lost
  std::uint64_t first = 1;
};

class WatchedDisk;

/// Behaves as the suites ask, whatever its disk does: an error passes, and is waited for where the suite waits. Each
/// time that the files are opened, and once more at the end, they are held against what was acknowledged.
class SqliteHost final : public StoreHost {
 public:
  explicit SqliteHost(std::optional<DiskFault> fault);
  ~SqliteHost() override;

  std::unique_ptr<PluginHost> plugin(const std::string& name) override;
  void flush() override;
  void stall(bool stalled) override;
  void crash() override;
  void pass(std::chrono::seconds time) override;
  std::uint64_t now() override;

 private:
  void start();

  const db::ReadyFolder folder_;
  const std::optional<DiskFault> fault_;
  std::optional<db::FaultVfs> vfs_;
  std::shared_ptr<WatchedDisk> disk_;
  std::unique_ptr<StoreWriter> writer_;
};

/// How often a fault of that name came about so far.
[[nodiscard]] std::uint64_t failures_of(const std::string& fault);

}  // namespace gatehouse::conformance
