#include "db/store/rows/state_rows.hpp"

#include "db/store/share.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <limits>

namespace gatehouse::db {
namespace {

/// SQLite's integers end at 2^63 - 1.
std::int64_t signed_of(std::uint64_t value) noexcept {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(value, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
}

std::uint64_t unsigned_of(const Statement& row, int column) noexcept {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(row.integer(column), 0));
}

/// Bytes that continue a sequence that begins with `lead`; -1 = none does (RFC 3629, part 4).
int continuation(unsigned char lead) noexcept {
  if (lead < 0x80) return 0;
  if (lead >= 0xc2 && lead <= 0xdf) return 1;
  if (lead >= 0xe0 && lead <= 0xef) return 2;
  if (lead >= 0xf0 && lead <= 0xf4) return 3;
  return -1;
}

/// The range of the byte after `lead`, which leaves out overlong forms, surrogates and what lies beyond U+10FFFF.
bool may_follow(unsigned char lead, unsigned char second) noexcept {
  if (lead == 0xe0) return second >= 0xa0 && second <= 0xbf;
  if (lead == 0xed) return second >= 0x80 && second <= 0x9f;
  if (lead == 0xf0) return second >= 0x90 && second <= 0xbf;
  if (lead == 0xf4) return second >= 0x80 && second <= 0x8f;
  return second >= 0x80 && second <= 0xbf;
}

/// UTF-8 without a NUL, at which most tools would end it.
bool is_text(std::string_view bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const int more = continuation(lead);
    if (lead == 0 || more < 0 || i + static_cast<std::size_t>(more) >= bytes.size()) return false;
    for (int k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(bytes[++i]);
      if (k == 1 ? !may_follow(lead, next) : (next & 0xc0U) != 0x80) return false;
    }
  }
  return true;
}

void bind_totals(Statement& statement, int first, const TrafficTotals& totals) {
  statement.bind(first, signed_of(totals.bytes_up));
  statement.bind(first + 1, signed_of(totals.bytes_down));
  statement.bind(first + 2, signed_of(totals.packets_up));
  statement.bind(first + 3, signed_of(totals.packets_down));
}

TrafficTotals totals_of(const Statement& row, int first) noexcept {
  return {unsigned_of(row, first), unsigned_of(row, first + 1), unsigned_of(row, first + 2),
          unsigned_of(row, first + 3)};
}

/// SQLite renews the entry in an index of each column that is set, changed or not: half of what a row costs.
constexpr std::string_view kPutSession =
    "INSERT INTO sessions (id, plugin, key, identity, group_name, source, slot, created_at, last_seen_at, ended_at, "
    "bytes_up, bytes_down, packets_up, packets_down, blob_version, blob, expires_at, share) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) "
    "ON CONFLICT (id) DO UPDATE SET plugin = ?2, key = ?3, identity = ?4, group_name = ?5, source = ?6, slot = ?7, "
    "created_at = ?8, last_seen_at = ?9, bytes_up = ?11, bytes_down = ?12, packets_up = ?13, packets_down = ?14, "
    "blob_version = ?15, blob = ?16, expires_at = ?17";

std::string source_of(const Endpoint& source) {
  return source.address.family() == Family::none ? std::string() : source.to_string();
}

}  // namespace

unsigned slot_of(const SessionRecord& session) {
  std::string of = session.plugin;
  of += '\0';
  of += session.resource.empty() ? session.identity : session.resource;
  if (session.resource.empty()) (of += '\0') += session.key;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  if (EVP_Digest(of.data(), of.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("libcrypto cannot compute SHA-256");
  return static_cast<unsigned>(digest[0]) << 4U | static_cast<unsigned>(digest[1]) >> 4U;
}

void bind_bytes(Statement& statement, int parameter, std::string_view bytes) {
  if (is_text(bytes)) return statement.bind_borrowed(parameter, bytes);
  statement.bind_borrowed(parameter, std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
}

std::int64_t time_of(const Statement& row, int column) noexcept {
  constexpr std::int64_t kFarthest = std::numeric_limits<std::int64_t>::max() / 2;
  return std::clamp(row.integer(column), -kFarthest, kFarthest);
}

SessionRecord session_of(const Statement& row) {
  SessionRecord out;
  out.id = unsigned_of(row, 0);
  out.plugin = row.text(1);
  out.key = row.text(2);
  out.identity = row.text(3);
  out.group_name = row.text(4);
  if (const auto source = Endpoint::parse(row.text(5))) out.source = *source;
  out.created_at = time_of(row, 6);
  out.last_seen_at = time_of(row, 7);
  if (!row.is_null(8)) out.ended_at = time_of(row, 8);
  out.totals = totals_of(row, 9);
  out.blob_version = static_cast<std::uint32_t>(row.integer(13));
  if (!row.is_null(14)) out.blob = std::make_shared<const ByteString>(row.blob(14));
  if (!row.is_null(15)) out.expires_at = time_of(row, 15);
  return out;
}

LeaseRecord lease_of(const Statement& row) {
  return {{row.text(0), row.text(1)}, unsigned_of(row, 2), time_of(row, 3), time_of(row, 4)};
}

UsageRecord usage_of(const Statement& row) {
  return {{time_of(row, 0), row.text(1), row.text(2), row.text(3)}, totals_of(row, 4)};
}

std::uint64_t sound_number(std::int64_t found) noexcept {
  const bool is_ours = found >= 0 && static_cast<std::uint64_t>(found) <= kLastNumber;
  return is_ours ? static_cast<std::uint64_t>(found) : 0;
}

Epoch read_epoch(Database& database) {
  Statement row =
      database.prepare("SELECT n, store_id, boot_id, clean, unsure_until, last_session_id, secrets_n FROM epoch");
  Epoch out;
  if (!row.step()) return out;
  out.n = sound_number(row.integer(0));
  out.store_id = unsigned_of(row, 1);
  out.boot_id = row.text(2);
  out.clean = row.integer(3) != 0;
  out.unsure_until = time_of(row, 4);
  out.last_session_id = sound_number(row.integer(5));
  out.secrets_n = sound_number(row.integer(6));
  return out;
}

std::int64_t read_seen_at(Database& database) {
  Statement row = database.prepare("SELECT seen_at FROM epoch");
  return row.step() ? time_of(row, 0) : 0;
}

StateRows::StateRows(Database& database)
    : put_live_session_(database.prepare(kPutSession)),
      put_session_(database.prepare(std::string(kPutSession) + ", ended_at = ?10, share = ?18")),
      has_session_(database.prepare("SELECT 1 FROM sessions WHERE id = ?1")),
      put_lease_(database.prepare(
          "INSERT INTO leases (plugin, resource, session_id, granted_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5) "
          "ON CONFLICT DO UPDATE SET session_id = ?3, granted_at = ?4, expires_at = ?5")),
      remove_lease_(database.prepare("DELETE FROM leases WHERE plugin = ?1 AND resource = ?2")),
      put_usage_(database.prepare(
          "INSERT INTO usage (day, plugin, identity, group_name, bytes_up, bytes_down, packets_up, packets_down) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
          "ON CONFLICT DO UPDATE SET bytes_up = ?5, bytes_down = ?6, packets_up = ?7, packets_down = ?8")),
      put_commit_(database.prepare(
          "UPDATE epoch SET n = ?1, last_session_id = max(last_session_id, ?2), secrets_n = max(secrets_n, ?3), "
          "seen_at = ?4")) {}

void StateRows::put(const SessionRecord& session, bool was_ended) {
  Statement& row = session.ended_at || was_ended ? put_session_ : put_live_session_;
  const std::string source = source_of(session.source), share = network_of(session);
  row.bind(1, signed_of(session.id));
  row.bind_borrowed(2, session.plugin);
  bind_bytes(row, 3, session.key);
  bind_bytes(row, 4, session.identity);
  bind_bytes(row, 5, session.group_name);
  row.bind_borrowed(6, source);
  row.bind(7, static_cast<std::int64_t>(slot_of(session)));
  row.bind(8, session.created_at);
  row.bind(9, session.last_seen_at);
  session.ended_at ? row.bind(10, *session.ended_at) : row.bind_null(10);
  bind_totals(row, 11, session.totals);
  row.bind(15, static_cast<std::int64_t>(session.blob_version));
  session.blob ? row.bind_borrowed(16, std::span(*session.blob)) : row.bind_null(16);
  session.expires_at != 0 ? row.bind(17, session.expires_at) : row.bind_null(17);
  bind_bytes(row, 18, share);
  row.run();
}

void StateRows::put(const LeaseRecord& lease) {
  put_lease_.bind_borrowed(1, lease.key.plugin);
  bind_bytes(put_lease_, 2, lease.key.resource);
  put_lease_.bind(3, signed_of(lease.session));
  put_lease_.bind(4, lease.granted_at);
  put_lease_.bind(5, lease.expires_at);
  put_lease_.run();
}

bool StateRows::has_session(std::uint64_t session) {
  has_session_.bind(1, signed_of(session));
  const bool found = has_session_.step();
  has_session_.reset();
  return found;
}

void StateRows::remove(const LeaseKey& lease) {
  remove_lease_.bind_borrowed(1, lease.plugin);
  bind_bytes(remove_lease_, 2, lease.resource);
  remove_lease_.run();
}

void StateRows::put(const UsageRecord& usage) {
  put_usage_.bind(1, usage.key.day);
  put_usage_.bind_borrowed(2, usage.key.plugin);
  bind_bytes(put_usage_, 3, usage.key.identity);
  bind_bytes(put_usage_, 4, usage.key.group_name);
  bind_totals(put_usage_, 5, usage.totals);
  put_usage_.run();
}

void StateRows::put_commit(std::uint64_t n, std::uint64_t last_session_id, std::uint64_t secrets_n,
                           std::int64_t seen_at) {
  put_commit_.bind(1, signed_of(n));
  put_commit_.bind(2, signed_of(last_session_id));
  put_commit_.bind(3, signed_of(secrets_n));
  put_commit_.bind(4, seen_at);
  put_commit_.run();
}

ValueRows::ValueRows(Database& database)
    : put_(database.prepare("INSERT INTO plugin_values (plugin, name, value, written) VALUES (?1, ?2, ?3, ?4) "
                            "ON CONFLICT DO UPDATE SET value = ?3, written = ?4")),
      remove_(database.prepare("DELETE FROM plugin_values WHERE plugin = ?1 AND name = ?2")),
      has_(database.prepare("SELECT 1 FROM plugin_values WHERE plugin = ?1 AND name = ?2")),
      doubt_all_(database.prepare("UPDATE plugin_values SET written = -abs(written)")),
      all_(database.prepare("SELECT plugin, name, value, abs(written), written < 0 FROM plugin_values")) {}

void ValueRows::put(const ValueKey& key, const ByteString& value, std::uint64_t written) {
  put_.bind_borrowed(1, key.plugin);
  bind_bytes(put_, 2, key.name);
  bind_bytes(put_, 3, {reinterpret_cast<const char*>(value.data()), value.size()});
  put_.bind(4, signed_of(written));
  put_.run();
}

void ValueRows::remove(const ValueKey& key) {
  remove_.bind_borrowed(1, key.plugin);
  bind_bytes(remove_, 2, key.name);
  remove_.run();
}

bool ValueRows::has(const ValueKey& key) {
  has_.bind_borrowed(1, key.plugin);
  bind_bytes(has_, 2, key.name);
  const bool found = has_.step();
  has_.reset();
  return found;
}

void ValueRows::doubt_all() { doubt_all_.run(); }

std::vector<ValueRows::Row> ValueRows::all(bool secret) {
  std::vector<Row> rows;
  while (all_.step()) {
    rows.push_back({{{all_.text(0), all_.text(1)}, secret, all_.blob(2), all_.integer(4) != 0}, unsigned_of(all_, 3)});
  }
  all_.reset();
  return rows;
}

}  // namespace gatehouse::db
