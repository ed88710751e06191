#include "gateway/config/table_reader.hpp"

#include <algorithm>

namespace gatehouse {

std::string join(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

TableReader::TableReader(const ConfigValue* table, std::string path, std::vector<ConfigProblem>& problems)
    : table_(table), path_(std::move(path)), problems_(problems) {}

std::string TableReader::path_of(const std::string& key) const { return path_.empty() ? key : path_ + '.' + key; }

void TableReader::refuse(const ConfigValue& value, const std::string& key, const std::string& must_be) {
  problems_.push_back({value.place, '`' + path_of(key) + "` must be " + must_be + ", not " + value.describe()});
}

const ConfigValue* TableReader::take(const std::string& key) {
  known_.push_back(key);
  return table_ ? table_->find(key) : nullptr;
}

const ConfigValue* TableReader::take(const std::string& key, ConfigValue::Kind kind, const char* must_be) {
  const ConfigValue* value = take(key);
  if (value == nullptr || value->kind == kind) return value;
  refuse(*value, key, must_be);
  return nullptr;
}

void TableReader::read(const std::string& key, std::string& out) {
  if (const auto* value = take(key, ConfigValue::Kind::string, "a string")) out = value->text;
}

void TableReader::read(const std::string& key, bool& out) {
  if (const auto* value = take(key, ConfigValue::Kind::boolean, "true or false")) out = value->boolean;
}

void TableReader::read(const std::string& key, std::int64_t& out, std::int64_t least, std::int64_t most) {
  const auto* value = take(key);
  if (value == nullptr) return;
  if (value->kind != ConfigValue::Kind::integer || value->integer < least || value->integer > most) {
    return refuse(*value, key, "a number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  out = value->integer;
}

void TableReader::read(const std::string& key, std::vector<std::string>& out) {
  const auto* value = take(key, ConfigValue::Kind::array, "an array of strings");
  if (value == nullptr) return;
  std::vector<std::string> texts;
  for (const ConfigValue& item : value->children) {
    if (item.kind != ConfigValue::Kind::string) return refuse(item, key, "an array of strings");
    texts.push_back(item.text);
  }
  out = std::move(texts);
}

void TableReader::read(const std::string& key, std::filesystem::path& out) {
  const auto* value = take(key, ConfigValue::Kind::string, "an absolute path");
  if (value == nullptr) return;
  if (!std::filesystem::path(value->text).is_absolute()) return refuse(*value, key, "an absolute path");
  out = value->text;
}

void TableReader::read(const std::string& key, std::vector<std::filesystem::path>& out) {
  const auto* value = take(key, ConfigValue::Kind::array, "an array of absolute paths");
  if (value == nullptr) return;
  std::vector<std::filesystem::path> paths;
  for (const ConfigValue& item : value->children) {
    if (item.kind != ConfigValue::Kind::string || !std::filesystem::path(item.text).is_absolute()) {
      return refuse(item, key, "an array of absolute paths");
    }
    paths.emplace_back(item.text);
  }
  out = std::move(paths);
}

void TableReader::read(const std::string& key, std::string& out, const std::vector<std::string>& choices) {
  const auto* value = take(key);
  if (value == nullptr) return;
  if (value->kind != ConfigValue::Kind::string ||
      std::find(choices.begin(), choices.end(), value->text) == choices.end()) {
    return refuse(*value, key, "one of " + join(choices));
  }
  out = value->text;
}

const ConfigValue* TableReader::table(const std::string& key) { return take(key, ConfigValue::Kind::table, "a table"); }

void TableReader::refuse_unknown_keys() {
  if (table_ == nullptr) return;
  for (const ConfigValue& member : table_->children) {
    if (std::find(known_.begin(), known_.end(), member.key) != known_.end()) continue;
    const std::string nearest = nearest_name(member.key, known_);
    problems_.push_back({member.key_place, "unknown key `" + path_of(member.key) + "`; " +
                                               (nearest.empty() ? "known here: " + join(known_)
                                                                : "did you mean `" + path_of(nearest) + "`?")});
  }
}

}  // namespace gatehouse
