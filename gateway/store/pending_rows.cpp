#include "gateway/store/pending_rows.hpp"

#include <utility>

namespace gatehouse {
namespace {

/// What a row is found by.
struct KeyOf {
  std::string operator()(std::uint64_t session) const { return 's' + std::to_string(session); }
  std::string operator()(const db::LeaseKey& key) const { return 'l' + key.plugin + '\0' + key.resource; }
  std::string operator()(const db::ValueKey& key) const { return 'v' + key.plugin + '\0' + key.name; }
  std::string operator()(const db::UsageKey&) const { return {}; }  // UsageLedger has those
};

}  // namespace

std::vector<Durability::Ticket> PendingRows::put(db::SessionRecord session,
                                                 const std::vector<Durability::Ticket>& waiting, bool is_first) {
  std::string key = KeyOf()(session.id);
  const bool urgent = !session.key.empty() || !waiting.empty();
  Row& row = put_row(std::move(key), std::move(session), waiting, urgent, Place::as_it_was);
  row.unseen = row.unseen || is_first;
  note_end(row);
  return ended_.size() > kMostEnded ? give_up_oldest() : std::vector<Durability::Ticket>{};
}

/// Of a session that a restart would not bring back, whether its row is written or not.
void PendingRows::note_end(Row& row) {
  const auto* const session = std::get_if<db::SessionRecord>(&row.record);
  if (session == nullptr || !session->ended_at || (!session->key.empty() && !row.unseen) || row.ended) return;
  row.ended = ended_.insert(ended_.end(), row.key);
}

void PendingRows::forget_end(Row& row) {
  if (row.ended) ended_.erase(*row.ended);
  row.ended.reset();
}

void PendingRows::put(db::LeaseRecord lease, const std::vector<Durability::Ticket>& waiting) {
  std::string key = KeyOf()(lease.key);
  put_row(std::move(key), std::move(lease), waiting, true, Place::last);  // after the session that holds it now
}

void PendingRows::put(db::ValueRecord value, const std::vector<Durability::Ticket>& waiting) {
  std::string key = KeyOf()(value.key);
  put_row(std::move(key), std::move(value), waiting, true, Place::as_it_was);
}

PendingRows::Row& PendingRows::put_row(std::string key, Record record, const std::vector<Durability::Ticket>& waiting,
                                       bool urgent, Place place) {
  const auto known = index_.find(key);
  if (known == index_.end()) {
    rows_.push_back(
        {key, std::move(record), waiting, std::chrono::steady_clock::now(), ++last_number_, urgent, false, false, {}});
    index_.emplace(std::move(key), std::prev(rows_.end()));
    urgent_ += urgent ? 1 : 0;
    return rows_.back();
  }
  Row& row = *known->second;
  row.record = std::move(record);
  row.waiting.insert(row.waiting.end(), waiting.begin(), waiting.end());
  if (row.aside) {
    rows_.splice(rows_.end(), aside_, known->second);
    count(row);
  }
  if (urgent && !std::exchange(row.urgent, true)) ++urgent_;
  if (place == Place::last) rows_.splice(rows_.end(), rows_, known->second);
  return row;
}

std::vector<Durability::Ticket> PendingRows::give_up_oldest() {
  const auto found = index_.find(ended_.front());
  std::vector<Durability::Ticket> out = std::move(found->second->waiting);
  ended_.pop_front();
  if (found->second->aside) {
    aside_.erase(found->second);
  } else {
    uncount(*found->second);
    rows_.erase(found->second);
  }
  index_.erase(found);
  ++forgotten_;
  return out;
}

/// It waits again, as one that has come just now.
void PendingRows::count(Row& row) noexcept {
  row.aside = false;
  row.number = ++last_number_;
  row.since = std::chrono::steady_clock::now();
  urgent_ += row.urgent ? 1 : 0;
}

void PendingRows::uncount(const Row& row) noexcept {
  urgent_ -= row.urgent ? 1 : 0;
  marked_ -= row.number <= mark_ ? 1 : 0;
}

void PendingRows::mark() noexcept {
  mark_ = last_number_;
  marked_ = rows_.size();
}

std::optional<std::chrono::steady_clock::time_point> PendingRows::since() const noexcept {
  return rows_.empty() ? std::nullopt : std::optional(rows_.front().since);
}

db::StoreBatch PendingRows::first(std::size_t most) const {
  db::StoreBatch out;
  for (const Row& row : rows_) {
    if (most-- == 0) break;
    if (const auto* const session = std::get_if<db::SessionRecord>(&row.record)) {
      out.sessions.push_back(*session);
    } else if (const auto* const value = std::get_if<db::ValueRecord>(&row.record)) {
      out.values.push_back(*value);
    } else if (const auto& lease = std::get<db::LeaseRecord>(row.record); lease.session != 0) {
      out.leases.push_back(lease);
    } else {
      out.released.push_back(lease.key);
    }
  }
  return out;
}

void PendingRows::doubt_first(std::size_t count) {
  for (auto row = rows_.begin(); count > 0 && row != rows_.end(); --count, ++row) {
    if (std::exchange(row->unseen, false) && !std::get<db::SessionRecord>(row->record).key.empty()) forget_end(*row);
  }
}

std::vector<Durability::Ticket> PendingRows::remove_first(std::size_t count) {
  std::vector<Durability::Ticket> out;
  for (; count > 0 && !rows_.empty(); --count) {
    Row& row = rows_.front();
    out.insert(out.end(), row.waiting.begin(), row.waiting.end());
    forget_end(row);
    uncount(row);
    index_.erase(row.key);
    rows_.pop_front();
  }
  if (index_.empty()) index_ = {};  // which may have been large
  return out;
}

std::vector<Durability::Ticket> PendingRows::set_aside(const db::RefusedRow& refused) {
  const std::string key = std::visit(KeyOf(), refused.row);
  const auto found = index_.find(key);
  if (found == index_.end() || found->second->aside) return {};
  Row& row = *found->second;
  uncount(row);
  row.aside = true;
  aside_.splice(aside_.end(), rows_, found->second);
  return std::exchange(row.waiting, {});
}

void PendingRows::retry_aside() {
  for (Row& row : aside_) count(row);
  rows_.splice(rows_.end(), aside_);
}

}  // namespace gatehouse
