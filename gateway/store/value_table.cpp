#include "gateway/store/value_table.hpp"

#include <charconv>
#include <string>
#include <utility>

namespace gatehouse {
namespace {

db::ByteString digits_of(std::uint64_t number) {
  const std::string text = std::to_string(number);
  return {text.begin(), text.end()};
}

/// The decimal number that a value is. Nothing else is taken for one.
std::optional<std::uint64_t> number_in(const db::ByteString& value) {
  const char* const begin = reinterpret_cast<const char*>(value.data());
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(begin, begin + value.size(), out);
  return error == std::errc() && end == begin + value.size() ? std::optional(out) : std::nullopt;
}

}  // namespace

ValueTable::ValueTable(std::shared_ptr<Durability> durability) : durability_(std::move(durability)) {}

std::optional<db::ByteString> ValueTable::get(const db::ValueKey& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = values_.find(key);
  return found == values_.end() ? std::nullopt : found->second.record.value;
}

void ValueTable::put(const db::ValueKey& key, bool secret, std::optional<db::ByteString> value,
                     Durability::Ticket ticket) {
  const std::scoped_lock lock(mutex_);
  change(key, secret, std::move(value), ticket);
}

void ValueTable::change(const db::ValueKey& key, bool secret, std::optional<db::ByteString> value,
                        Durability::Ticket ticket) {
  db::ValueRecord next{key, secret, std::move(value), false};
  Value& to = values_.try_emplace(key, key).first->second;  // one without a value is as good as none
  if (ticket != 0) to.waiting.push_back(ticket);
  to.record = std::move(next);  // from here on nothing fails
  durability_->add(to);
}

std::optional<std::uint64_t> ValueTable::reserve(const db::ValueKey& key, std::uint64_t count,
                                                 Durability::Ticket ticket) {
  const std::scoped_lock lock(mutex_);
  const auto found = values_.find(key);
  const bool is_new = found == values_.end() || !found->second.record.value;
  std::optional<std::uint64_t> first = is_new ? 1 : number_in(*found->second.record.value);
  const bool leaps = is_new ? lacks_names_ : found->second.record.is_doubtful;
  if (first && leaps) first = *first > UINT64_MAX - kLeap ? std::nullopt : std::optional(*first + kLeap);
  if (!first || count > UINT64_MAX - *first) return std::nullopt;
  change(key, !is_new && found->second.record.secret, digits_of(*first + count), ticket);
  return first;
}

void ValueTable::load(const db::ValueRecord& record) {
  const std::scoped_lock lock(mutex_);
  values_.try_emplace(record.key, record.key).first->second.record = record;
}

ValueTable::Change ValueTable::take_change(ChangeLink& link) {
  auto& value = static_cast<Value&>(link);
  const std::scoped_lock lock(mutex_);
  Change out{value.record, std::exchange(value.waiting, {})};
  if (!value.record.value && !value.is_listed()) values_.erase(out.record.key);
  return out;
}

void ValueTable::change_all() {
  const std::scoped_lock lock(mutex_);
  for (auto& [key, value] : values_) durability_->add(value);
}

}  // namespace gatehouse
