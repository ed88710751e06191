// A disk that is really full, and one that is really read-only: a small file system of its own, in a mount namespace.
#include "db/store/state_reader.hpp"
#include "tests/unit/db/store/life.hpp"
#include "tests/unit/own_process.hpp"

#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <optional>

namespace gatehouse::db {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// Root by right, or in a user namespace of its own.
bool enter_namespace() {
  const std::string uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
  if (::geteuid() == 0) {
    if (::unshare(CLONE_NEWNS) != 0) return false;
  } else {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << "0 " + uid + " 1";
    std::ofstream("/proc/self/gid_map") << "0 " + gid + " 1";
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

class RealDisk : public testing::Test {
 protected:
  /// Runs `task` in a process that has a tmpfs of so many bytes at folder.path().
  template <class Task>
  void with_disk(std::size_t bytes, Task task) {
    const std::string size = "size=" + std::to_string(bytes);
    const auto enter = [&] {
      return enter_namespace() && ::mount("none", folder.path().c_str(), "tmpfs", 0, size.c_str()) == 0;
    };
    in_own_process("mount namespace", enter, task);
  }
  bool remount(unsigned long flags) const {
    return ::mount("none", folder.path().c_str(), nullptr, MS_REMOUNT | flags, nullptr) == 0;
  }
  static std::optional<StoreError> error_of(const std::function<void()>& task) {
    try {
      task();
      return {};
    } catch (const StoreError& error) {
      return error;
    }
  }
  static StoreBatch rows(std::uint64_t first, std::uint64_t count) {
    StoreBatch batch;
    for (std::uint64_t id = first; id < first + count; ++id) {
      batch.sessions.push_back(session(id));
      batch.sessions.back().blob = std::make_shared<const ByteString>(500, std::uint8_t{5});
      batch.leases.push_back(lease(std::to_string(id), id));
    }
    return batch;
  }
  static StoreBatch ends_of(std::uint64_t first, std::uint64_t count) {
    StoreBatch batch = rows(first, count);
    for (SessionRecord& record : batch.sessions) record.ended_at = unix_now();
    for (const LeaseRecord& record : batch.leases) batch.released.push_back(record.key);
    batch.leases.clear();
    return batch;
  }
  /// Until the disk takes no more. @return rows that it took
  std::uint64_t fill(Life& life) {
    for (std::uint64_t first = 1;; first += 40) {
      const auto error = error_of([&] { life.write(rows(first, 40)); });
      if (!error) continue;
      EXPECT_EQ(error->kind(), StoreError::Kind::full) << error->what();
      EXPECT_THAT(error->what(), HasSubstr("make room"));
      return first - 1;
    }
  }
  ScratchFolder folder;
  const std::filesystem::path path = folder.path() / "state.db", ballast = folder.path() / "state.ballast",
                              filler = folder.path() / "filler";
};

TEST_F(RealDisk, ThatIsFullStillTakesDeletionsAndTheLastFlush) {
  with_disk(4U << 20U, [this] {
    Life life(path);
    life.open();
    EXPECT_TRUE(std::filesystem::exists(ballast));
    const std::uint64_t taken = fill(life);
    EXPECT_GT(taken, 500u);
    EXPECT_TRUE(std::filesystem::exists(ballast)) << "it is kept for this:";
    for (int i = 0; i < 50; ++i) life.write(rows(taken, 1));
    StoreBatch mixed = ends_of(1, 200);
    mixed.sessions.push_back(session(taken + 1));
    life.write(mixed);
    for (std::uint64_t first = 201; first + 200 <= taken; first += 200) life.write(ends_of(first, 200));
    std::uint64_t more = taken + 2;
    while (!error_of([&] { life.write(rows(more, 40)); })) more += 40;
    life.store().use_reserve();
    life.write(rows(more, 300));
    EXPECT_FALSE(std::filesystem::exists(ballast));
    life.close();
    EXPECT_THAT(verify(path), IsEmpty());
    life.expect_promises();
    EXPECT_EQ(life.store().opening().unsure_until, 0);
  });
}

TEST_F(RealDisk, ThatIsFullTakesTheEndsBesideOneThatATriggerRollsBack) {
  with_disk(5U << 20U, [this] {
    std::ofstream(filler) << std::string(1U << 20U, 'x');
    Life life(path);
    life.open();
    EXPECT_EQ(run_sqlite_shell(path,
                               "CREATE TRIGGER no BEFORE INSERT ON sessions WHEN NEW.id = 7 AND NEW.ended_at BEGIN "
                               "SELECT RAISE(ROLLBACK, 'not this one'); END"),
              "");
    fill(life);
    StoreBatch batch = ends_of(1, 20);
    batch.values = {value("large", std::string(2U << 20U, 'x'), true)};
    const auto error = error_of([&] { static_cast<void>(life.store().write(batch)); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), StoreError::Kind::full) << error->what();
    std::filesystem::remove(filler);
    EXPECT_EQ(run_sqlite_shell(path, "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL"), "19\n");
  });
}

TEST_F(RealDisk, ThatIsFullAndThenNotIsWrittenAgain) {
  with_disk(7U << 20U, [this] {
    std::ofstream(filler) << std::string(3U << 20U, 'x');
    Life life(path);
    life.open();
    const std::uint64_t taken = fill(life);
    life.store().use_reserve();
    EXPECT_TRUE(error_of([&] { life.write(rows(taken + 1, 2000)); }));
    EXPECT_FALSE(std::filesystem::exists(ballast));
    std::filesystem::remove(filler);
    life.write(rows(taken + 1, 300));
    EXPECT_EQ(life.start_overs, 0);
    life.expect_promises();
    EXPECT_EQ(std::filesystem::file_size(ballast), 1U << 20U) << "for the next time";
    EXPECT_THAT(verify(path), IsEmpty());
  });
}

TEST_F(RealDisk, ThatIsFullWhenItStarts) {
  with_disk(4U << 20U, [this] {
    Life life(path);
    life.open();
    life.write(rows(1, 10));
    life.kill();
    std::ofstream(filler) << std::string(4U << 20U, 'x');
    life.open();
    EXPECT_FALSE(std::filesystem::exists(ballast));
    life.expect_promises();
    EXPECT_EQ(life.store().opening().unsure_until, 0);
    EXPECT_THAT(life.store().opening().moved, IsEmpty());
  });
}

TEST_F(RealDisk, ThatIsReadOnlyIsWaitedFor) {
  with_disk(4U << 20U, [this] {
    Life life(path);
    life.open();
    life.write(rows(1, 10));
    life.kill();
    ASSERT_TRUE(remount(MS_RDONLY));
    const auto error = error_of([&] { life.open(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), StoreError::Kind::read_only) << error->what();
    EXPECT_THAT(error->what(), HasSubstr("mount its file system read-write"));
    EXPECT_EQ(StateReader(path).sessions(true, 100).size(), 10u) << "it can be looked at";
    ASSERT_TRUE(remount(0));
    life.expect_promises();
    EXPECT_EQ(life.store().opening().unsure_until, 0);
  });
}

TEST_F(RealDisk, ThatIsClosedToTheGatewayWhileItRunsIsWaitedFor) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::chown(folder.path().c_str(), kNobody, kNobody), 0);
  ASSERT_EQ(::seteuid(kNobody), 0);
  {
    Life life(path);
    life.open();
    life.write(rows(1, 10));
    const auto set_all = [&](const char* file_mode, const char* folder_mode) {
      const std::string all = folder.path().string();
      EXPECT_EQ(std::system(("chmod " + std::string(folder_mode) + " " + all).c_str()), 0);
      EXPECT_EQ(std::system(("chmod " + std::string(file_mode) + " " + all + "/state.db*").c_str()), 0);
    };
    set_all("0400", "0500");
    EXPECT_EQ(std::system(("touch " + path.string()).c_str()), 0);  // so that it is opened anew
    for (int i = 0; i < 2; ++i) {
      const auto error = error_of([&] { life.write(rows(20, 1)); });
      EXPECT_EQ(error.value().kind(), StoreError::Kind::read_only) << error->what();
    }
    set_all("0640", "0700");
    life.write(rows(20, 1));
    EXPECT_EQ(life.start_overs, 0);
    life.expect_promises();
  }
  EXPECT_EQ(::seteuid(0), 0);
}

}  // namespace
}  // namespace gatehouse::db
