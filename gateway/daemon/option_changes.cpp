#include "gateway/daemon/option_changes.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {

std::vector<std::string> options_needing_restart(const std::string& schema, const std::string& before,
                                                 const std::string& after) {
  using Json = nlohmann::json;
  const Json old_values = Json::parse(before), new_values = Json::parse(after);
  const Json properties = Json::parse(schema).value("properties", Json::object());
  std::vector<std::string> out;
  for (const auto& [name, property] : properties.items()) {
    const bool live = property.value("x-reload", "restart") == "live";
    if (!live && old_values.value(name, Json()) != new_values.value(name, Json())) out.push_back(name);
  }
  return out;
}

}  // namespace gatehouse
