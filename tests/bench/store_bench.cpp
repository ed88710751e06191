// What a lane pays for a call of gh.sessions/1 and gh.values/1 while the store writes to a disk beside it.
//
//   build/release/bin/store_bench
#include "gateway/base/lane.hpp"
#include "gateway/services/sessions.hpp"
#include "gateway/services/values.hpp"
#include "gateway/store/store_writer.hpp"

#include <gatehouse/plugin/border.hpp>

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

/// A gateway's store in a folder of its own, with `sessions` sessions that hold a lease each.
class Rig {
 public:
  explicit Rig(std::size_t sessions) {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-bench-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    writer_ = std::make_unique<StoreWriter>(db::open_sqlite_store(folder_ / "state.db", {}), OnStoreFailure::serve,
                                            StoreEvents{});
    sessions_ = std::make_unique<PluginSessions>(writer_->sessions(), "bench");
    values_ = std::make_unique<PluginValues>(writer_->values(), writer_->sessions()->durability(), "bench");
    for (std::size_t i = 0; i < sessions; ++i) {
      keys_.push_back("session-" + std::to_string(i));
      resources_.push_back("10.0." + std::to_string(i / 250) + '.' + std::to_string(i % 250));
      all_.push_back(open(i));
      lease(i);
    }
    static_cast<void>(writer_->flush(StoreWriter::Clock::now() + std::chrono::seconds(60)));
  }
  ~Rig() {
    values_.reset();
    sessions_.reset();
    writer_.reset();
    std::filesystem::remove_all(folder_);
  }

  gh_session open(std::size_t i) {
    gh_session out{};
    out.struct_size = sizeof out;
    out.key = to_border(keys_[i]);
    out.identity = to_border("token:bench");
    table().open(table().context, &lane_.head, &out, nullptr);
    return out;
  }
  gh_status lease(std::size_t i) {
    const gh_lease wanted{sizeof(gh_lease), 0, to_border(resources_[i]), all_[i].id, 0};
    return table().lease(table().context, &lane_.head, &wanted, nullptr);
  }
  gh_status release(std::size_t i) {
    return table().release(table().context, &lane_.head, all_[i].id, to_border(resources_[i]));
  }
  gh_status touch(std::size_t i) { return table().touch(table().context, &lane_.head, &all_[i], nullptr); }
  void open_and_end() {
    gh_session session{};
    session.struct_size = sizeof session;
    table().open(table().context, &lane_.head, &session, nullptr);
    table().end(table().context, &lane_.head, session.id);
  }
  void count(std::size_t i) {
    std::atomic_ref cell(all_[i].cells->bytes_up);
    cell.store(cell.load(std::memory_order_relaxed) + 1400, std::memory_order_relaxed);
  }
  std::uint64_t reserve() {
    std::uint64_t first = 0;
    const gh_values& values = *values_->table();
    values.reserve(values.context, to_border("numbers"), 1000, &first, nullptr);
    return first;
  }

 private:
  [[nodiscard]] const gh_sessions& table() const { return *sessions_->table(); }

  std::filesystem::path folder_;
  HostLane lane_;
  std::unique_ptr<StoreWriter> writer_;
  std::unique_ptr<PluginSessions> sessions_;
  std::unique_ptr<PluginValues> values_;
  std::vector<std::string> keys_, resources_;
  std::vector<gh_session> all_;
};

/// Calls work(rig, i) for one session after another.
template <class Work>
void over_all(benchmark::State& state, Work work) {
  const auto sessions = static_cast<std::size_t>(state.range(0));
  Rig rig(sessions);
  std::size_t i = 0;
  for (auto _ : state) {
    work(rig, i);
    if (++i == sessions) i = 0;
  }
}

void count_traffic(benchmark::State& state) {
  over_all(state, [](Rig& rig, std::size_t i) { rig.count(i); });
}
void touch(benchmark::State& state) {
  over_all(state, [](Rig& rig, std::size_t i) { rig.touch(i); });
}
void resume(benchmark::State& state) {
  over_all(state, [](Rig& rig, std::size_t i) { rig.open(i); });
}
void renew_lease(benchmark::State& state) {
  over_all(state, [](Rig& rig, std::size_t i) { rig.lease(i); });
}
void release_and_take_lease(benchmark::State& state) {
  over_all(state, [](Rig& rig, std::size_t i) {
    rig.release(i);
    rig.lease(i);
  });
}
void open_and_end(benchmark::State& state) {
  over_all(state, [](Rig& rig, std::size_t) { rig.open_and_end(); });
}
void reserve_numbers(benchmark::State& state) {
  over_all(state, [](Rig& rig, std::size_t) { rig.reserve(); });
}

BENCHMARK(count_traffic)->Arg(1000)->Arg(100'000);
BENCHMARK(touch)->Arg(1000)->Arg(100'000);
BENCHMARK(resume)->Arg(1000)->Arg(100'000);
BENCHMARK(renew_lease)->Arg(1000)->Arg(100'000);
BENCHMARK(release_and_take_lease)->Arg(1000)->Arg(100'000);
BENCHMARK(open_and_end)->Arg(1000);
BENCHMARK(reserve_numbers)->Arg(1000);

}  // namespace
}  // namespace gatehouse
