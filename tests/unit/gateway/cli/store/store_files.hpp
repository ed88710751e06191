// A fixture: the database files that a gateway left behind.
#pragma once

#include "db/store/store.hpp"
#include "tests/unit/gateway/cli/call.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace gatehouse {

class StoreFiles : public testing::Test {
 protected:
  StoreFiles() { std::filesystem::create_directory(state_); }
  /// What a gateway leaves that has ended in an orderly way.
  void fill() {
    const auto store = db::open_sqlite_store(state_ / "state.db", {});
    static_cast<void>(store->load(now_));
    db::StoreBatch batch;
    db::SessionRecord session;
    session.id = 1;
    session.plugin = "relay";
    session.key = "bobs-secret-key";
    session.identity = "unix:bob";
    session.group_name = "everyone";
    session.created_at = session.last_seen_at = now_;
    session.totals = {10, 20, 1, 2};
    batch.sessions.push_back(session);
    session.id = 2;
    session.key = "another-key";
    session.identity = "unix:eve";
    session.ended_at = now_;
    batch.sessions.push_back(session);
    batch.leases.push_back({{"relay", "vni:7"}, 1, now_, 0});
    batch.usage.push_back({{now_ / 86'400, "relay", "unix:bob", "everyone"}, {10, 20, 1, 2}});
    ASSERT_EQ(store->write(batch), db::Store::Written::done);
    store->close();
  }
  std::string config(const std::string& more = "") {
    return folder_
        .write("gatehouse.toml", "[gateway]\nstate_dir = \"" + state_.string() + "\"\nruntime_dir = \"" +
                                     folder_.path().string() + "\"\n" + more)
        .string();
  }

  ConfigFolder folder_;
  const std::filesystem::path state_ = folder_.path() / "state";
  const std::int64_t now_ = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
};

}  // namespace gatehouse
