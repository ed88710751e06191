// Works the store as plugins do, until it is killed: test_store_crash.py reads what it says and knows from that what
// must be there afterwards.
//
//   store_driver FOLDER SEED [LEASES]   LEASES: makes so many first, says "made" when they are durable, and ends
//
// On a line each, as they happen. First what the store remembered:
//   session KEY ID BLOB   lease RESOURCE KEY   value NAME NEXT   loaded MICROSECONDS CPU_MICROSECONDS
// then each operation N of lane T:
//   try T N open|blob|end KEY BLOB   try T N take|release RESOURCE KEY   try T N reserve NAME FIRST COUNT
//   no T N: it was refused           durable T N STATUS: its completion came
#include "gateway/base/lane.hpp"
#include "gateway/services/sessions.hpp"
#include "gateway/services/values.hpp"
#include "gateway/store/store_writer.hpp"

#include <gatehouse/plugin/border.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

constexpr unsigned kLanes = 2;
constexpr unsigned kKeys = 24, kResources = 60;  // of each lane

/// One write, so that lines of several threads stay whole and in the order of what they tell.
void say(const std::string& line) {
  const std::string text = line + '\n';
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(0);  // nobody listens any more
}

class Lane {
 public:
  Lane(const gh_sessions& sessions, const gh_values& values, unsigned number, unsigned seed)
      : sessions_(sessions), values_(values), number_(number), random_(seed * kLanes + number) {}

  [[noreturn]] void run() {
    for (;;) step();
  }

 private:
  struct Tag {  // of a completion; lives as long as the process
    unsigned lane;
    std::uint64_t operation;
  };

  void step() {
    const std::string key = "key-" + std::to_string(number_) + "-" + std::to_string(draw(kKeys));
    const std::string resource = "r-" + std::to_string(number_) + "-" + std::to_string(draw(kResources));
    const unsigned what = draw(100);
    if (what < 20)
      open(key);
    else if (what < 35)
      blob(key);
    else if (what < 40)
      end(key);
    else if (what < 75)
      take(resource, key);
    else if (what < 95)
      release(resource);
    else
      reserve();
    if (draw(8) == 0) usleep(draw(2000));
  }

  unsigned draw(unsigned below) { return std::uniform_int_distribution<unsigned>(0, below - 1)(random_); }
  gh_completion begin(const std::string& what) {
    ++operation_;
    say("try " + std::to_string(number_) + ' ' + std::to_string(operation_) + ' ' + what);
    return {[](void* context, std::uint64_t, gh_status status) {
              const Tag& tag = *static_cast<Tag*>(context);
              say("durable " + std::to_string(tag.lane) + ' ' + std::to_string(tag.operation) + ' ' +
                  std::to_string(status));
            },
            new Tag{number_, operation_}, 0};
  }
  bool done(gh_status status) const {
    if (status != GH_OK) say("no " + std::to_string(number_) + ' ' + std::to_string(operation_));
    return status == GH_OK;
  }

  void open(const std::string& key) {
    if (ids_.contains(key)) return;
    gh_session session = named(key);
    if (sessions_.find(sessions_.context, &lane_.head, &session, nullptr) == GH_OK) {  // it keeps the blob that it has
      session = named(key);
      if (sessions_.open(sessions_.context, &lane_.head, &session, nullptr) == GH_OK) ids_[key] = session.id;
      return;
    }
    const std::string blob = std::to_string(operation_ + 1);
    const gh_completion durable = begin("open " + key + ' ' + blob);
    session = named(key);
    session.blob = to_border(blob);
    if (done(sessions_.open(sessions_.context, &lane_.head, &session, &durable))) ids_[key] = session.id;
  }
  static gh_session named(const std::string& key) {
    gh_session out{};
    out.struct_size = sizeof out;
    out.key = to_border(key);
    out.identity = to_border("token:driver");
    return out;
  }
  void blob(const std::string& key) {
    const auto found = ids_.find(key);
    if (found == ids_.end()) return;
    const std::string blob = std::to_string(operation_ + 1);
    const gh_completion durable = begin("blob " + key + ' ' + blob);
    gh_session session{};
    session.struct_size = sizeof session;
    session.id = found->second;
    session.blob = to_border(blob);
    done(sessions_.touch(sessions_.context, &lane_.head, &session, &durable));
  }
  void end(const std::string& key) {
    const auto found = ids_.find(key);
    if (found == ids_.end()) return;
    begin("end " + key + " -");
    done(sessions_.end(sessions_.context, &lane_.head, found->second));
    std::erase_if(holders_, [&](const auto& held) { return held.second == key; });
    ids_.erase(found);
  }
  void take(const std::string& resource, const std::string& key) {
    const auto found = ids_.find(key);
    if (found == ids_.end()) return;
    const gh_completion durable = begin("take " + resource + ' ' + key);
    const gh_lease lease{sizeof(gh_lease), 0, to_border(resource), found->second, 0};
    if (done(sessions_.lease(sessions_.context, &lane_.head, &lease, &durable))) holders_[resource] = key;
  }
  void release(const std::string& resource) {
    const auto holder = holders_.find(resource);
    if (holder == holders_.end()) return;
    begin("release " + resource + ' ' + holder->second);
    done(sessions_.release(sessions_.context, &lane_.head, ids_.at(holder->second), to_border(resource)));
    holders_.erase(holder);
  }
  void reserve() {
    const std::string name = "numbers-" + std::to_string(number_);
    const std::uint64_t count = 1 + draw(50);
    std::uint64_t first = 0;
    const gh_completion durable = begin("reserve " + name + ' ' + std::to_string(count));
    done(values_.reserve(values_.context, to_border(name), count, &first, &durable));
  }

  const gh_sessions& sessions_;
  const gh_values& values_;
  const unsigned number_;
  std::minstd_rand random_;
  HostLane lane_;
  std::uint64_t operation_ = 0;
  std::map<std::string, std::uint64_t> ids_;    // by key
  std::map<std::string, std::string> holders_;  // keys by resource
};

std::string text(const db::ByteString& bytes) { return {bytes.begin(), bytes.end()}; }

void say_what_is_remembered(StoreWriter& writer) {
  std::map<std::uint64_t, std::string> keys;
  writer.sessions()->for_each(SessionTable::Blobs::with, [&](const SessionTable::Copy& copy) {
    keys[copy.record.id] = copy.record.key;
    say("session " + copy.record.key + ' ' + std::to_string(copy.record.id) + ' ' +
        (copy.record.blob ? text(*copy.record.blob) : "-"));
  });
  for (const db::LeaseRecord& lease : writer.sessions()->leases().rows()) {
    say("lease " + lease.key.resource + ' ' + keys[lease.session]);
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const std::string name = "numbers-" + std::to_string(lane);
    if (const auto value = writer.values()->get({"driver", name})) say("value " + name + ' ' + text(*value));
  }
}

void make_leases(StoreWriter& writer, const gh_sessions& sessions, unsigned count) {
  HostLane lane;
  for (unsigned i = 0; i < count; ++i) {
    const std::string key = "made-" + std::to_string(i), resource = "10." + std::to_string(i);
    gh_session session{};
    session.struct_size = sizeof session;
    session.key = to_border(key);
    session.identity = to_border("token:driver");
    sessions.open(sessions.context, &lane.head, &session, nullptr);
    const gh_lease lease{sizeof(gh_lease), 0, to_border(resource), session.id, 0};
    sessions.lease(sessions.context, &lane.head, &lease, nullptr);
  }
  say(writer.flush(StoreWriter::Clock::now() + std::chrono::seconds(60)) ? "made" : "not made");
}

/// What the process has had of the cores since it began.
std::int64_t cpu_microseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000 + time.tv_nsec / 1'000;
}

int drive(const std::string& folder, unsigned seed, unsigned leases) {
  const auto begin = std::chrono::steady_clock::now();
  StoreEvents events;
  events.log = [](const LogMessage& message) { std::fprintf(stderr, "%s\n", message.text.c_str()); };
  StoreWriter writer(db::open_sqlite_store(folder + "/state.db", {}), OnStoreFailure::serve, std::move(events));
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin).count();
  const std::int64_t cpu = cpu_microseconds();
  for (const std::string& remark : writer.opening().remarks) std::fprintf(stderr, "%s\n", remark.c_str());
  if (writer.opening().unsure_until != 0 || !writer.opening().moved.empty()) say("alarm");
  if (leases == 0) say_what_is_remembered(writer);
  say("loaded " + std::to_string(took) + ' ' + std::to_string(cpu));

  PluginSessions sessions(writer.sessions(), "driver");
  PluginValues values(writer.values(), writer.sessions()->durability(), "driver");
  if (leases > 0) {
    make_leases(writer, *sessions.table(), leases);
    return 0;
  }
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kLanes; ++i)
    threads.emplace_back([&, i] { Lane(*sessions.table(), *values.table(), i, seed).run(); });
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace gatehouse

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: store_driver FOLDER SEED [LEASES]\n");
    return 2;
  }
  try {
    return gatehouse::drive(argv[1], static_cast<unsigned>(std::atoi(argv[2])),
                            argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "store_driver: %s\n", error.what());
    return 1;
  }
}
