#include "tests/unit/gateway/store/sqlite_host.hpp"

#include "db/store/state_reader.hpp"
#include "tests/unit/gateway/store/gateway_plugin.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

namespace gatehouse::conformance {
namespace {

using namespace std::chrono_literals;
using Clock = StoreWriter::Clock;

std::map<std::string, std::uint64_t> failures;

}  // namespace

/// What stands between a process and its files: writes can be made to wait, or are cut off for good when the process is
/// killed. Outlives it, and knows what was acknowledged. The writer's, but for what has a lock.
class WatchedDisk {
 public:
  enum class Way { open, shut, gone };
  void set(Way way) {
    const std::scoped_lock lock(mutex_);
    way_ = way;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return way_ != Way::shut; });
    if (way_ == Way::gone) throw db::StoreError(db::StoreError::Kind::io, "the process is dead");
  }

  db::Promises promises;
  db::StoreBatch under_way;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Way way_ = Way::open;
};

namespace {

class WatchedStore final : public db::Store {
 public:
  WatchedStore(std::unique_ptr<db::Store> store, std::shared_ptr<WatchedDisk> disk)
      : store_(std::move(store)), disk_(std::move(disk)) {}

  [[nodiscard]] const db::StoreOpening& opening() const noexcept override { return store_->opening(); }
  [[nodiscard]] db::StoredState load(std::int64_t now) override {
    db::StoredState out = store_->load(now);
    EXPECT_EQ(opening().unsure_until, 0) << "a false alarm";
    EXPECT_THAT(opening().moved, testing::IsEmpty()) << "a sound file was set aside";
    disk_->promises.expect(out, now, disk_->under_way);
    disk_->promises = {};  // what is there is what counts from now on
    disk_->promises.apply({out.sessions, out.leases, {}, out.usage, out.values});
    disk_->under_way = {};
    return out;
  }
  [[nodiscard]] Written write(const db::StoreBatch& batch) override {
    disk_->pass();
    disk_->under_way = batch;
    const Written written = store_->write(batch);
    EXPECT_EQ(written, Written::done) << "the file is the same all the time";
    disk_->promises.apply(batch);
    disk_->under_way = {};
    return written;
  }
  [[nodiscard]] std::vector<db::RefusedRow> take_refused() override {
    std::vector<db::RefusedRow> out = store_->take_refused();
    EXPECT_THAT(out, testing::IsEmpty()) << "a row that there is nothing against: "
                                         << (out.empty() ? "" : out.front().why);
    return out;
  }
  std::chrono::milliseconds upkeep(std::int64_t now) override { return store_->upkeep(now); }
  [[nodiscard]] bool needs_write() const noexcept override { return store_->needs_write(); }
  void set_retention(const db::Retention& retention) override { store_->set_retention(retention); }
  void use_reserve() noexcept override { store_->use_reserve(); }
  void close() override { store_->close(); }

 private:
  const std::unique_ptr<db::Store> store_;
  const std::shared_ptr<WatchedDisk> disk_;
};

}  // namespace

SqliteHost::SqliteHost(std::optional<DiskFault> fault) : fault_(std::move(fault)) {
  disk_ = std::make_shared<WatchedDisk>();
  if (fault_) vfs_.emplace();
  start();
  if (fault_) vfs_->fail(fault_->call, fault_->first, fault_->times, fault_->how);
}

SqliteHost::~SqliteHost() {
  disk_->set(WatchedDisk::Way::open);
  flush();
  crash();
  writer_.reset();
  if (fault_) {
    failures[fault_->name] += vfs_->failures();
    vfs_->heal();
  }
  for (const auto& file : {folder_.state_db(), folder_.state_db().parent_path() / "secrets.db"})
    EXPECT_THAT(db::verify(file), testing::IsEmpty()) << file;
}

/// As a service manager does it, that starts a gateway again whose disk has failed.
void SqliteHost::start() {
  disk_->set(WatchedDisk::Way::open);
  for (int attempt = 1;; ++attempt) {
    try {
      auto store = std::make_unique<WatchedStore>(db::open_sqlite_store(folder_.state_db(), {}), disk_);
      writer_ = std::make_unique<StoreWriter>(std::move(store), OnStoreFailure::serve, StoreEvents{}, &test_now);
      return;
    } catch (const db::StoreError&) {
      if (!fault_ || attempt == 12) throw;
    }
  }
}

std::unique_ptr<PluginHost> SqliteHost::plugin(const std::string& name) {
  return std::make_unique<GatewayPlugin>(*writer_, name);
}

/// Each try asks for another write, before the writer itself would: a failure costs no second.
void SqliteHost::flush() {
  const auto deadline = Clock::now() + 10s;
  bool done = false;
  while (!done && Clock::now() < deadline) done = writer_->flush(Clock::now() + (fault_ ? 5ms : 10'000ms));
  ASSERT_TRUE(done) << writer_->status().last_error;
}

/// Where the disk has failed, clients were answered without it, and `serve` promises them that it is told later.
void SqliteHost::stall(bool stalled) {
  if (stalled && fault_) flush();
  disk_->set(stalled ? WatchedDisk::Way::shut : WatchedDisk::Way::open);
}

void SqliteHost::crash() {
  disk_->set(WatchedDisk::Way::gone);
  writer_.reset();
  if (fault_ && fault_->power_goes_too) vfs_->cut_power(fault_->first);
  start();
}

void SqliteHost::pass(std::chrono::seconds time) { time_passed += time.count(); }
std::uint64_t SqliteHost::now() { return static_cast<std::uint64_t>(test_now()); }

std::uint64_t failures_of(const std::string& fault) { return failures[fault]; }

}  // namespace gatehouse::conformance
