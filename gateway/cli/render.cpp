#include "gateway/cli/render.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <ostream>

namespace gatehouse {

using Json = nlohmann::ordered_json;

namespace {

std::string cell(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return value.get_ref<const std::string&>().empty() ? "-" : printable(value.get<std::string>());
  if (value.is_array()) {
    std::string out;
    for (const Json& item : value) out += (out.empty() ? "" : ", ") + cell(item);
    return out.empty() ? "-" : out;
  }
  return printable(one_line(value));
}

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_object(); });
}

/// One row an object, one column a name that any of them has.
std::string object_table(const Json& list) {
  std::vector<std::string> names;
  for (const Json& item : list) {
    for (const auto& [name, value] : item.items()) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::vector<std::vector<std::string>> rows{names};
  for (std::string& head : rows[0]) {
    std::transform(head.begin(), head.end(), head.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    head = printable(head);
  }
  for (const Json& item : list) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const std::string& name : names) row.push_back(item.contains(name) ? cell(item[name]) : "-");
  }
  return text_table(rows);
}

/// Plain members of `object` go to `pairs`, lists of objects to `tables`, both with dotted names.
void collect(const Json& object, const std::string& prefix, std::vector<std::vector<std::string>>& pairs,
             std::string& tables) {
  for (const auto& [key, value] : object.items()) {
    const std::string name = prefix + printable(key);
    if (value.is_object() && !value.empty()) {
      collect(value, name + '.', pairs, tables);
    } else if (is_table(value)) {
      tables += (tables.empty() && pairs.empty() ? "" : "\n") + name + "\n" + object_table(value);
    } else {
      pairs.push_back({name, cell(value)});
    }
  }
}

std::size_t columns(const std::string& text) {  // UTF-8: bytes that begin a character
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string text_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - columns(row[i]) + 2, ' ');
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    out += '\n';
  }
  return out;
}

std::string render(const std::string& json) {
  const Json body = Json::parse(json, nullptr, false);
  if (is_table(body)) return object_table(body);
  if (!body.is_object()) return printable(json) + "\n";
  std::vector<std::vector<std::string>> pairs;
  std::string tables;
  collect(body, "", pairs, tables);
  return text_table(pairs) + tables;
}

std::string one_line(const Json& body) {
  return printable_json(body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void print_json(std::ostream& out, const Json& body) {
  out << printable_json(body.dump(2, ' ', false, Json::error_handler_t::replace)) << '\n';
}

void print_body(const Invocation& invocation, const std::string& json) {
  invocation.out << (invocation.json ? json + "\n" : render(json)) << std::flush;
}

}  // namespace gatehouse
