#include "gateway/cli/plugin/plugin_verbs.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/cli/plugin/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/running_gateway.hpp"
#include "gateway/plugin/default_listeners.hpp"

#include <nlohmann/json.hpp>

#include <map>

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

Json describe_roles(const Config& config, const std::string& name, const LoadedPlugin& plugin) {
  Json out = Json::array();
  for (std::size_t i = 0; i < plugin.manifest->role_count; ++i) {
    const gh_listener_role& role = plugin.role(i);
    Json kinds = Json::array();
    if ((role.kinds & GH_ROLE_STREAM) != 0) kinds.push_back("stream");
    if ((role.kinds & GH_ROLE_DATAGRAM) != 0) kinds.push_back("datagram");
    out.push_back({{"name", role.name},
                   {"kinds", kinds},
                   {"required", role.required != 0},
                   {"default", default_address(config.runtime_dir, name, role)}});
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

Json describe(const Config& config, const std::string& name, const LoadedPlugin& plugin) {
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
          {"listeners", describe_roles(config, name, plugin)},
          {"options", describe_options(manifest)}};
}

/// What the running gateway has of each plugin, by name; nothing where none runs, or this user may not ask it.
std::map<std::string, Json> running_plugins(const Invocation& invocation) {
  std::map<std::string, Json> out;
  try {
    const ControlReply reply = ask_gateway(invocation, "plugins", Access::read);
    const Json body = Json::parse(reply.json, nullptr, false);
    if (reply.status >= 300 || !body.is_object()) return out;
    for (const Json& plugin : body.value("plugins", Json::array())) out.emplace(plugin.value("name", ""), plugin);
  } catch (const std::exception&) {
    // no gateway, or no configuration that says where it would be: files are all that there is to list
  }
  return out;
}

}  // namespace

int plugin_list_verb(const Invocation& invocation, const NoArguments&) {
  const Config config = load_config_or_defaults(invocation);
  const PluginShelf shelf(config);
  const std::map<std::string, Json> running = running_plugins(invocation);
  Json list = Json::array();
  for (const std::string& name : known_plugins(config)) {
    const auto configured = config.plugins.find(name);
    const auto runs = running.find(name);
    Json row = {{"name", name},
                {"configured", configured != config.plugins.end()},
                {"enabled", configured != config.plugins.end() && configured->second.enabled},
                {"version", nullptr},
                {"file", nullptr},
                {"summary", nullptr},
                {"running", nullptr},
                {"file_differs", nullptr}};
    if (runs != running.end()) row["running"] = runs->second.value("state", "");
    try {
      const LoadedPlugin plugin = shelf.load(name);
      row["version"] = plugin.manifest->version;
      row["file"] = plugin.file.original.string();
      row["summary"] = plugin.manifest->summary;
      if (runs != running.end()) row["file_differs"] = runs->second.value("sha256", "") != plugin.file.sha256;
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
  require_known_plugin(config, arguments.name);
  print(invocation, describe(config, arguments.name, PluginShelf(config).load(arguments.name)));
  return kExitYes;
}

}  // namespace gatehouse
