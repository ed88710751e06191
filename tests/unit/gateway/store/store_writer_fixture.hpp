// What tests of the store's writer share.
#pragma once

#include "gateway/base/lane.hpp"
#include "gateway/services/sessions.hpp"
#include "gateway/services/values.hpp"
#include "gateway/store/store_writer.hpp"
#include "tests/unit/gateway/store/fake_disk.hpp"
#include "tests/unit/gateway/store/waiter.hpp"

#include <gatehouse/plugin/border.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace gatehouse {

/// A writer with one plugin, "relay", and its disk.
class StoreWriterTest : public testing::Test {
 protected:
  StoreWriterTest() { clock_ahead = 0; }
  static std::int64_t clock() noexcept { return unix_now() + clock_ahead; }
  void start(OnStoreFailure on_failure = OnStoreFailure::serve, db::StoreOpening opening = {},
             std::chrono::milliseconds round = StoreWriter::kRound) {
    StoreEvents events;
    events.log = [this](const LogMessage& message) {
      const std::scoped_lock lock(mutex_);
      logged_ += message.text + '\n';
    };
    events.stop = [this] { ++stops_; };
    writer_ = std::make_unique<StoreWriter>(std::make_unique<FakeDiskStore>(disk_, std::move(opening)), on_failure,
                                            std::move(events), &clock, round);
    face_ = std::make_unique<PluginSessions>(writer_->sessions(), "relay", &clock);
    values_ = std::make_unique<PluginValues>(writer_->values(), writer_->sessions()->durability(), "relay");
  }
  /// As kill -9 would: nothing more is written.
  void crash() {
    writer_.reset();
    face_.reset();
    values_.reset();
  }
  bool flush() { return writer_->flush(StoreWriter::Clock::now() + kPatience); }
  gh_session open(std::string_view key, std::string_view identity = "unix:bob", Waiter* waiter = nullptr) {
    gh_session out{};
    out.struct_size = sizeof out;
    out.key = to_border(key);
    out.identity = to_border(identity);
    EXPECT_EQ(face().open(face().context, &lane_.head, &out, waiter ? &waiter->completion : nullptr), GH_OK);
    return out;
  }
  gh_status lease(std::string_view resource, std::uint64_t session, Waiter* waiter = nullptr,
                  std::uint64_t expires = 0) {
    const gh_lease wanted{sizeof(gh_lease), 0, to_border(resource), session, expires};
    return face().lease(face().context, &lane_.head, &wanted, waiter ? &waiter->completion : nullptr);
  }
  gh_status release(std::string_view resource, std::uint64_t session) {
    return face().release(face().context, &lane_.head, session, to_border(resource));
  }
  [[nodiscard]] const gh_sessions& face() const { return *face_->table(); }
  [[nodiscard]] std::string logged() const {
    const std::scoped_lock lock(mutex_);
    return logged_;
  }
  bool eventually(const std::function<bool()>& holds) const {
    for (const auto end = StoreWriter::Clock::now() + kPatience; !holds();
         std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
      if (StoreWriter::Clock::now() > end) return false;
    }
    return true;
  }

  static inline std::atomic<std::int64_t> clock_ahead{0};  // seconds
  static constexpr std::chrono::seconds kPatience{30};     // 66,000 rows take six where eight others are at work

  std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
  mutable std::mutex mutex_;
  std::string logged_;
  std::atomic<int> stops_{0};
  HostLane lane_;
  std::unique_ptr<StoreWriter> writer_;
  std::unique_ptr<PluginSessions> face_;
  std::unique_ptr<PluginValues> values_;
};

}  // namespace gatehouse
