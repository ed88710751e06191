#include "gateway/cli/plugin/plugin_verbs.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/cli/plugin/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/config/plugin_switch.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

void print(const Invocation& invocation, const Json& body) {
  if (invocation.json)
    print_json(invocation.out, body);
  else
    print_body(invocation, one_line(body));
}

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

Json describe_roles(const LoadedPlugin& plugin) {
  Json out = Json::array();
  for (std::size_t i = 0; i < plugin.manifest->role_count; ++i) {
    const gh_listener_role& role = plugin.role(i);
    Json kinds = Json::array();
    if ((role.kinds & GH_ROLE_STREAM) != 0) kinds.push_back("stream");
    if ((role.kinds & GH_ROLE_DATAGRAM) != 0) kinds.push_back("datagram");
    out.push_back({{"name", role.name}, {"kinds", kinds}, {"required", role.required != 0}});
  }
  return out;
}

/// "1..60000", "nxdomain | refused | drop", or "".
std::string allowed(const Json& option) {
  std::string out;
  if (option.contains("enum")) {
    for (const Json& choice : option["enum"]) {
      out += (out.empty() ? "" : " | ") + (choice.is_string() ? choice.get<std::string>() : choice.dump());
    }
  } else if (option.contains("minimum") || option.contains("maximum")) {
    out = (option.contains("minimum") ? option["minimum"].dump() : "") + ".." +
          (option.contains("maximum") ? option["maximum"].dump() : "");
  }
  return out;
}

Json describe_options(const gh_manifest& manifest) {
  Json out = Json::array();
  const Json schema = Json::parse(manifest.options_schema, nullptr, false);
  if (!schema.is_object()) return out;
  const Json properties = schema.value("properties", Json::object());
  for (const auto& [name, option] : properties.items()) {
    out.push_back({{"name", name},
                   {"type", option.value("type", "")},
                   {"default", option.contains("default") ? option["default"] : Json()},
                   {"allowed", allowed(option)},
                   {"reload", option.value("x-reload", "restart")},
                   {"description", option.value("description", "")}});
  }
  return out;
}

Json describe(const std::string& name, const LoadedPlugin& plugin) {
  const gh_manifest& manifest = *plugin.manifest;
  Json needed = Json::array();
  for (const char* const* id = manifest.requires_ids; id != nullptr && *id != nullptr; ++id) needed.push_back(*id);
  return {{"name", name},
          {"id", manifest.id},
          {"version", manifest.version},
          {"summary", manifest.summary},
          {"license", text_or_empty(manifest.license)},
          {"build", text_or_empty(manifest.build)},
          {"abi", std::to_string(manifest.abi_major) + '.' + std::to_string(manifest.abi_minor)},
          {"file", plugin.file.original.string()},
          {"sha256", plugin.file.sha256},
          {"requires", needed},
          {"probe", plugin.probe == nullptr ? "" : text_or_empty(plugin.probe->usage)},
          {"listeners", describe_roles(plugin)},
          {"options", describe_options(manifest)}};
}

/// @throws Refusal that names the nearest known plugin
void require_known(const Config& config, const std::string& plugin) {
  const std::vector<std::string> known = known_plugins(config);
  if (std::find(known.begin(), known.end(), plugin) != known.end()) return;
  const std::string nearest = nearest_name(plugin, known);
  throw Refusal("there is no plugin " + plugin + " in the configuration or in gateway.plugin_dirs" +
                (nearest.empty() ? "" : "; did you mean `" + nearest + "`?"));
}

/// Fails where a later file of the folder has the last word.
int set_enabled(const Invocation& invocation, const std::string& plugin, bool enabled) {
  require_known(load_config(invocation), plugin);
  const std::filesystem::path file = switch_plugin(invocation.config, plugin, enabled);
  const Config after = load_config(invocation);
  const auto configured = after.plugins.find(plugin);
  if (configured == after.plugins.end() || configured->second.enabled != enabled) {
    throw Refusal(file.string() + " was written, but a later file of that folder overrides plugin." + plugin +
                  ".enabled; change it there");
  }
  const Json body = {{"name", plugin},
                     {"enabled", enabled},
                     {"file", file.string()},
                     {"next", "run `gatehouse reload` to put it in force"}};
  print(invocation, body);
  return kExitYes;
}

}  // namespace

int plugin_list_verb(const Invocation& invocation, const NoArguments&) {
  const Config config = load_config_or_defaults(invocation);
  const PluginShelf shelf(config);
  Json list = Json::array();
  for (const std::string& name : known_plugins(config)) {
    const auto configured = config.plugins.find(name);
    Json row = {{"name", name},
                {"configured", configured != config.plugins.end()},
                {"enabled", configured != config.plugins.end() && configured->second.enabled},
                {"version", nullptr},
                {"file", nullptr},
                {"summary", nullptr}};
    try {
      const LoadedPlugin plugin = shelf.load(name);
      row["version"] = plugin.manifest->version;
      row["file"] = plugin.file.original.string();
      row["summary"] = plugin.manifest->summary;
    } catch (const Refusal& refusal) {
      row["problem"] = refusal.what();
    }
    list.push_back(std::move(row));
  }
  print(invocation, {{"plugins", std::move(list)}});
  return kExitYes;
}

int plugin_describe_verb(const Invocation& invocation, const PluginArguments& arguments) {
  const Config config = load_config_or_defaults(invocation);
  require_known(config, arguments.name);
  print(invocation, describe(arguments.name, PluginShelf(config).load(arguments.name)));
  return kExitYes;
}

int plugin_enable_verb(const Invocation& invocation, const PluginArguments& arguments) {
  return set_enabled(invocation, arguments.name, true);
}

int plugin_disable_verb(const Invocation& invocation, const PluginArguments& arguments) {
  return set_enabled(invocation, arguments.name, false);
}

}  // namespace gatehouse
