#include "tests/unit/db/store/life.hpp"

#include "db/store/rows/retention.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <sstream>

namespace gatehouse::db {
namespace {

std::string hex(const std::string& bytes) {
  std::ostringstream out;
  for (const char c : bytes) out << std::hex << (static_cast<unsigned>(c) & 0xffU) << '.';
  return out.str();
}

std::string text(const std::string& bytes) {
  const bool plain = std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return '"' + (plain ? bytes : hex(bytes)) + '"';
}

std::string text(const TrafficTotals& t) {
  std::ostringstream out;
  out << t.bytes_up << '/' << t.bytes_down << '/' << t.packets_up << '/' << t.packets_down;
  return out.str();
}

std::string text(const std::optional<ByteString>& bytes) {
  return bytes ? text(std::string(bytes->begin(), bytes->end())) : "none";
}

std::string line(const SessionRecord& s) {
  std::ostringstream out;
  out << "session " << s.id << ' ' << s.plugin << ' ' << text(s.key) << ' ' << text(s.identity) << ' '
      << text(s.group_name) << ' ' << s.source.to_string() << ' ' << s.created_at << ' ' << s.last_seen_at << ' '
      << s.ended_at.value_or(-1) << ' ' << text(s.totals) << " v" << s.blob_version << ' '
      << text(s.blob ? std::optional(*s.blob) : std::nullopt);
  return out.str();
}

std::string line(const LeaseRecord& l) {
  std::ostringstream out;
  out << "lease " << l.key.plugin << ' ' << text(l.key.resource) << " of " << l.session << ' ' << l.granted_at << '-'
      << l.expires_at;
  return out.str();
}

std::string line(const UsageRecord& u) {
  std::ostringstream out;
  out << "usage " << u.key.day << ' ' << u.key.plugin << ' ' << text(u.key.identity) << ' ' << text(u.key.group_name)
      << ' ' << text(u.totals);
  return out.str();
}

std::string line(const ValueRecord& v) {
  return "value " + v.key.plugin + ' ' + text(v.key.name) + (v.secret ? " secret " : " plain ") + text(v.value);
}

}  // namespace

std::filesystem::path memory_folder() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

SessionRecord session(std::uint64_t number, const std::string& plugin) {
  SessionRecord out;
  out.id = number;
  out.plugin = plugin;
  out.key = "key-" + std::to_string(number);
  out.identity = "token:bob";
  out.group_name = "everyone";
  out.source = Endpoint::parse("192.0.2." + std::to_string(number % 200) + ":4711").value();
  out.created_at = 1'700'000'000;
  out.last_seen_at = 1'700'000'100;
  out.totals = {number, 2 * number, 3, 4};
  out.blob_version = 7;
  out.blob = std::make_shared<const ByteString>(number % 50, static_cast<std::uint8_t>(number));
  return out;
}

LeaseRecord lease(const std::string& resource, std::uint64_t session, std::int64_t expires_at,
                  const std::string& plugin) {
  return {{plugin, resource}, session, 1'700'000'000, expires_at};
}

ValueRecord value(const std::string& name, const std::string& bytes, bool secret) {
  return {{"relay", name}, secret, ByteString(bytes.begin(), bytes.end())};
}

ValueRecord no_value(const std::string& name) { return {{"relay", name}, false, {}}; }

UsageRecord usage(const std::string& identity, std::uint64_t bytes, std::int64_t day) {
  return {{day, "udpgw", identity, "everyone"}, {bytes, 1, 1, 1}};
}

std::vector<std::string> lines(const StoredState& state) {
  std::vector<std::string> out;
  for (const auto& record : state.sessions) out.push_back(line(record));
  for (const auto& record : state.leases) out.push_back(line(record));
  for (const auto& record : state.usage) out.push_back(line(record));
  for (const auto& record : state.values) out.push_back(line(record));
  std::sort(out.begin(), out.end());
  return out;
}

void Promises::apply(const StoreBatch& batch) {
  for (const auto& record : batch.sessions) sessions_[record.id] = record;
  for (const auto& key : batch.released) leases_.erase(key);
  for (const auto& record : batch.leases) leases_[record.key] = record;
  for (const auto& record : batch.usage) usage_[record.key] = record;
  for (const auto& record : batch.values) {
    if (record.value) {
      values_[record.key] = record;
    } else {
      values_.erase(record.key);
    }
  }
}

StoredState Promises::remembered(std::int64_t now) const {
  StoredState out;
  for (const auto& [id, record] : sessions_) {
    if (!record.ended_at && !record.key.empty()) out.sessions.push_back(record);
  }
  for (const auto& [key, record] : leases_) {
    const auto holder = sessions_.find(record.session);
    const bool is_held = holder != sessions_.end() && !holder->second.ended_at && !holder->second.key.empty();
    if (is_held && (record.expires_at == 0 || record.expires_at > now)) out.leases.push_back(record);
  }
  for (const auto& [key, record] : usage_) {
    if (key.day >= first_of_month(now)) out.usage.push_back(record);
  }
  for (const auto& [key, record] : values_) out.values.push_back(record);
  return out;
}

StoreBatch Promises::everything() const {
  StoreBatch out;
  for (const auto& [id, record] : sessions_) {
    if (!record.ended_at) out.sessions.push_back(record);
  }
  for (const auto& [key, record] : leases_) out.leases.push_back(record);
  for (const auto& [key, record] : usage_) out.usage.push_back(record);
  for (const auto& [key, record] : values_) out.values.push_back(record);
  return out;
}

void Promises::expect(const StoredState& loaded, std::int64_t now, const StoreBatch& under_way) const {
  const std::vector<std::string> found = lines(loaded), promised = lines(remembered(now));
  if (found == promised) return;
  // Secrets are written before the rest.
  StoreBatch secrets;
  for (const auto& record : under_way.values) {
    if (record.secret) secrets.values.push_back(record);
  }
  Promises with_secrets = *this, with_all = *this;
  with_secrets.apply(secrets);
  with_all.apply(under_way);
  for (const Promises& more : {with_secrets, with_all}) {
    if (found == lines(more.remembered(now))) return;
  }
  std::vector<std::string> lost, invented;
  std::set_difference(promised.begin(), promised.end(), found.begin(), found.end(), std::back_inserter(lost));
  std::set_difference(found.begin(), found.end(), promised.begin(), promised.end(), std::back_inserter(invented));
  EXPECT_THAT(lost, testing::IsEmpty());
  EXPECT_THAT(invented, testing::IsEmpty());
}

ReadyFolder::ReadyFolder() {
  static const ScratchFolder made(memory_folder());
  const std::filesystem::path original = made.path() / "state.db";
  if (!std::filesystem::exists(original)) {
    const auto store = open_sqlite_store(original, {});
    // The count soon takes a byte more: then a page of which only a part was written cannot be read at all.
    for (int i = 0; i < 120; ++i) static_cast<void>(store->write({}));
    store->close();
  }
  for (const char* const name : {"state.db", "state.epoch", "secrets.db"})
    std::filesystem::copy(made.path() / name, folder_.path());
}

Life::Life(std::filesystem::path state_db, Open open) : path_(std::move(state_db)), open_(std::move(open)) {
  if (!open_) open_ = [](const auto& path) { return open_sqlite_store(path, {}); };
}

template <class Task>
void Life::insist(Task task) {
  for (int i = 1;; ++i) {
    try {
      return task();
    } catch (const StoreError&) {
      if (i >= tries_) throw;
    }
  }
}

void Life::open() {
  insist([this] {
    store_.reset();
    store_ = open_(path_);
    static_cast<void>(store_->load(now));
  });
}

void Life::write(const StoreBatch& batch) {
  under_way_ = batch;
  insist([&] {
    while (store_->write(batch) == Store::Written::start_over) {
      ++start_overs;
      while (store_->write(promises_.everything()) == Store::Written::start_over) ++start_overs;
    }
  });
  promises_.apply(batch);
  under_way_ = {};
}

void Life::upkeep() {
  insist([this] { static_cast<void>(store_->upkeep(now)); });
}

void Life::close() {
  insist([this] { store_->close(); });
  store_.reset();
}

void Life::expect_promises() {
  store_.reset();
  store_ = open_(path_);
  promises_.expect(store_->load(now), now, under_way_);
}

}  // namespace gatehouse::db
