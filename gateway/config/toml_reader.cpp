// The only file that knows the TOML parser: its documents become ConfigValues.
#include "gateway/config/config_tree.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <toml++/toml.h>

#include <sstream>
#include <stdexcept>

namespace gatehouse {
namespace {

ConfigPlace place_of(const toml::source_region& region, const std::string& file) {
  return {file, region.begin.line, region.begin.column};
}

/// What was written, for kinds that no key of ours takes and that only a sentence will show.
template <class T>
std::string written(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

ConfigValue to_value(const toml::node& node, const std::string& file) {
  ConfigValue out;
  out.place = out.key_place = place_of(node.source(), file);
  switch (node.type()) {
    case toml::node_type::string:
      out.kind = ConfigValue::Kind::string;
      out.text = **node.as_string();
      break;
    case toml::node_type::integer:
      out.kind = ConfigValue::Kind::integer;
      out.integer = **node.as_integer();
      break;
    case toml::node_type::boolean:
      out.kind = ConfigValue::Kind::boolean;
      out.boolean = **node.as_boolean();
      break;
    case toml::node_type::floating_point:
      out.kind = ConfigValue::Kind::real;
      out.text = written(*node.as_floating_point());
      break;
    case toml::node_type::array:
      out.kind = ConfigValue::Kind::array;
      for (const toml::node& item : *node.as_array()) out.children.push_back(to_value(item, file));
      break;
    case toml::node_type::table:
      out.kind = ConfigValue::Kind::table;
      for (const auto& [key, value] : *node.as_table()) {
        ConfigValue& member = out.children.emplace_back(to_value(value, file));
        member.key = std::string(key.str());
        member.key_place = place_of(key.source(), file);
      }
      break;
    default: out.kind = ConfigValue::Kind::time; node.visit([&](const auto& value) { out.text = written(value); });
  }
  return out;
}

/// "Error while parsing key: expected ..." as the rest of a sentence.
std::string lower_first(std::string_view text) {
  std::string out(text);
  if (!out.empty() && out[0] >= 'A' && out[0] <= 'Z') out[0] = static_cast<char>(out[0] - 'A' + 'a');
  return out;
}

/// Parses `text` and returns its only leaf, so that an argument cannot smuggle in a second key.
const toml::node* only_leaf(const toml::table& table, std::vector<std::string>& path) {
  const toml::node* at = &table;
  while (const toml::table* inner = at->as_table()) {
    if (inner->size() != 1) return nullptr;
    path.emplace_back(inner->begin()->first.str());
    at = &inner->begin()->second;
  }
  return at;
}

/// The value of an override: TOML if it is, else a bare word.
ConfigValue override_value(const std::string& text, const ConfigPlace& place, std::vector<ConfigProblem>& problems) {
  ConfigValue out;
  try {
    const toml::table table = toml::parse("value = " + text);
    if (table.size() == 1) {
      out = to_value(*table.get("value"), place.file);
    } else {
      problems.push_back({place, "one --set takes one value; repeat --set for another key"});
    }
  } catch (const toml::parse_error& error) {
    if (text.find_first_of("\"'[{") != 0 && text.find('\n') == std::string::npos) {
      out.kind = ConfigValue::Kind::string;
      out.text = text;
    } else {
      problems.push_back({place, "the value is not TOML: " + lower_first(error.description())});
    }
  }
  return out;
}

void move_to(ConfigValue& value, const ConfigPlace& place) {
  value.place = value.key_place = place;
  for (ConfigValue& child : value.children) move_to(child, place);
}

Error read_whole(const std::filesystem::path& file, std::string& out) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return last_system_error();
  char part[16384];
  for (;;) {
    const ssize_t size = ::read(fd.get(), part, sizeof part);
    if (size < 0) return last_system_error();
    if (size == 0) return {};
    out.append(part, static_cast<std::size_t>(size));
  }
}

/// Where the key ends: the first '=' outside quotes.
std::size_t key_end(const std::string& argument) {
  char quote = 0;
  for (std::size_t i = 0; i < argument.size(); ++i) {
    const char c = argument[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '=') {
      return i;
    }
  }
  return std::string::npos;
}

}  // namespace

ConfigValue read_toml_file(const std::filesystem::path& file, std::vector<ConfigProblem>& problems) {
  ConfigValue nothing;
  nothing.place = {file.string(), 0, 0};
  std::string text;
  if (const Error error = read_whole(file, text)) {
    problems.push_back({nothing.place, "cannot be read (" + error.message() + "); name the right file with --config"});
    return nothing;
  }
  try {
    return to_value(toml::parse(text, file.string()), file.string());
  } catch (const toml::parse_error& error) {
    problems.push_back({place_of(error.source(), file.string()), lower_first(error.description())});
    return nothing;
  }
}

ConfigValue read_override(const std::string& argument, std::vector<ConfigProblem>& problems) {
  const ConfigPlace place{"--set " + argument, 0, 0};
  ConfigValue root;
  root.place = place;
  const std::size_t end = key_end(argument);
  std::vector<std::string> path;
  try {
    if (end == std::string::npos) throw std::invalid_argument("no `=`");
    const toml::table key = toml::parse(argument.substr(0, end) + " = 0");
    if (only_leaf(key, path) == nullptr) throw std::invalid_argument("more than a key");
  } catch (const std::exception&) {  // toml::parse_error is one
    problems.push_back({place, "must be KEY=VALUE with a dotted key, such as log.level=debug"});
    return root;
  }
  const std::size_t before = problems.size();
  ConfigValue value = override_value(argument.substr(end + 1), place, problems);
  if (problems.size() != before) return root;
  move_to(value, place);
  for (auto name = path.rbegin(); name != path.rend(); ++name) {
    value.key = *name;
    ConfigValue table;
    table.place = table.key_place = place;
    table.children.push_back(std::move(value));
    value = std::move(table);
  }
  return value;
}

}  // namespace gatehouse
