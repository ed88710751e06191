#include "gateway/config/config_tree.hpp"

#include <algorithm>

namespace gatehouse {

const ConfigValue* ConfigValue::find(std::string_view name) const noexcept {
  if (kind != Kind::table) return nullptr;
  const auto found = std::find_if(children.begin(), children.end(), [&](const auto& c) { return c.key == name; });
  return found == children.end() ? nullptr : &*found;
}

std::string ConfigValue::describe() const {
  switch (kind) {
    case Kind::string: return '"' + text + '"';
    case Kind::integer: return std::to_string(integer);
    case Kind::real:
    case Kind::time: return text;
    case Kind::boolean: return boolean ? "true" : "false";
    case Kind::array: return "an array";
    case Kind::table: return "a table";
  }
  return "";
}

const ConfigValue* ConfigTree::options(std::string_view plugin) const noexcept {
  const ConfigValue* plugins = root.find("plugin");
  const ConfigValue* one = plugins ? plugins->find(plugin) : nullptr;
  return one ? one->find("options") : nullptr;
}

void merge(ConfigValue& base, ConfigValue later) {
  if (base.kind != ConfigValue::Kind::table || later.kind != ConfigValue::Kind::table) {
    base = std::move(later);
    return;
  }
  for (ConfigValue& member : later.children) {
    const auto same = std::find_if(base.children.begin(), base.children.end(),
                                   [&](const ConfigValue& c) { return c.key == member.key; });
    if (same == base.children.end()) {
      base.children.push_back(std::move(member));
    } else {
      merge(*same, std::move(member));
    }
  }
}

}  // namespace gatehouse
