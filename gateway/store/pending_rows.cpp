#include "gateway/store/pending_rows.hpp"

#include <utility>

namespace gatehouse {

void PendingRows::put(db::SessionRecord session, const std::vector<Durability::Ticket>& waiting) {
  std::string key = 's' + std::to_string(session.id);
  const bool ended = session.ended_at && session.key.empty();
  if (ended) ended_.push_back(key);
  const bool urgent = !session.key.empty() || !waiting.empty();
  put_row(std::move(key), std::move(session), waiting, urgent, Place::as_it_was);
  if (ended_.size() > kMostEnded) give_up_oldest();
}

void PendingRows::put(db::LeaseRecord lease, const std::vector<Durability::Ticket>& waiting) {
  std::string key = 'l' + lease.key.plugin + '\0' + lease.key.resource;
  put_row(std::move(key), std::move(lease), waiting, true, Place::last);  // after the session that holds it now
}

void PendingRows::put(db::ValueRecord value, const std::vector<Durability::Ticket>& waiting) {
  std::string key = 'v' + value.key.plugin + '\0' + value.key.name;
  put_row(std::move(key), std::move(value), waiting, true, Place::as_it_was);
}

void PendingRows::put_row(std::string key, Record record, const std::vector<Durability::Ticket>& waiting, bool urgent,
                          Place place) {
  const auto known = index_.find(key);
  if (known == index_.end()) {
    rows_.push_back({key, std::move(record), waiting, std::chrono::steady_clock::now(), ++last_number_, urgent});
    index_.emplace(std::move(key), std::prev(rows_.end()));
    urgent_ += urgent ? 1 : 0;
    return;
  }
  Row& row = *known->second;
  row.record = std::move(record);
  row.waiting.insert(row.waiting.end(), waiting.begin(), waiting.end());
  if (urgent && !std::exchange(row.urgent, true)) ++urgent_;
  if (place == Place::last) rows_.splice(rows_.end(), rows_, known->second);
}

void PendingRows::give_up_oldest() {
  const auto found = index_.find(ended_.front());
  ended_.pop_front();
  if (found == index_.end()) return;  // written by now
  uncount(*found->second);
  rows_.erase(found->second);
  index_.erase(found);
  ++forgotten_;
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

std::vector<Durability::Ticket> PendingRows::remove_first(std::size_t count) {
  std::vector<Durability::Ticket> out;
  for (; count > 0 && !rows_.empty(); --count) {
    const Row& row = rows_.front();
    out.insert(out.end(), row.waiting.begin(), row.waiting.end());
    if (!ended_.empty() && ended_.front() == row.key) ended_.pop_front();
    uncount(row);
    index_.erase(row.key);
    rows_.pop_front();
  }
  return out;
}

}  // namespace gatehouse
