// A plugin's options against its schema: the subset of JSON Schema that abi.h names.
#include "gateway/config/config_tree.hpp"
#include "gateway/config/table_reader.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace gatehouse {
namespace {

using Json = nlohmann::json;

class OptionsReader {
 public:
  OptionsReader(std::string plugin, std::vector<ConfigProblem>& problems)
      : plugin_(std::move(plugin)), problems_(problems) {}

  /// The members of `table` (nullptr: none), completed with the schema's defaults.
  Json object(const ConfigValue* table, const Json& schema, const std::string& path) {
    Json out = Json::object();
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [name, property] : properties.items()) {
      const ConfigValue* given = table ? table->find(name) : nullptr;
      if (given != nullptr) {
        out[name] = value(*given, property, path + '.' + name);
      } else if (property.contains("default")) {
        out[name] = property["default"];
      } else if (property.value("type", "") == "object") {
        out[name] = object(nullptr, property, path + '.' + name);
      }
    }
    if (table != nullptr) refuse_unknown(*table, properties, path);
    return out;
  }

 private:
  Json value(const ConfigValue& given, const Json& schema, const std::string& path) {
    const std::string type = schema.value("type", "");
    const auto refused = [&](const std::string& must_be) {
      const bool secret = schema.value("x-secret", false);
      problems_.push_back(
          {given.place, "`" + path + "` must be " + must_be + (secret ? "" : ", not " + given.describe())});
      return Json();
    };
    if (type == "string") {
      if (given.kind != ConfigValue::Kind::string)
        return refused(schema.contains("enum") ? choices(schema) : "a string");
      return one_of(Json(given.text), schema) ? Json(given.text) : refused(choices(schema));
    }
    if (type == "integer") {
      const bool good = given.kind == ConfigValue::Kind::integer && in_range(given.integer, schema) &&
                        one_of(Json(given.integer), schema);
      return good ? Json(given.integer) : refused(schema.contains("enum") ? choices(schema) : range(schema));
    }
    if (type == "boolean") {
      return given.kind == ConfigValue::Kind::boolean ? Json(given.boolean) : refused("true or false");
    }
    if (type == "array") {
      if (given.kind != ConfigValue::Kind::array) return refused("an array");
      Json out = Json::array();
      for (const ConfigValue& item : given.children) {
        out.push_back(value(item, schema.value("items", Json::object()), path + "[]"));
      }
      return out;
    }
    if (type == "object") {
      return given.kind == ConfigValue::Kind::table ? object(&given, schema, path) : refused("a table");
    }
    problems_.push_back({given.place, "the schema of plugin " + plugin_ + " gives `" + path +
                                          "` no type that the gateway knows; ask its author"});
    return Json();
  }

  void refuse_unknown(const ConfigValue& table, const Json& properties, const std::string& path) {
    std::vector<std::string> known;
    for (const auto& [name, property] : properties.items()) known.push_back(name);
    for (const ConfigValue& member : table.children) {
      if (properties.contains(member.key)) continue;
      const std::string nearest = nearest_name(member.key, known);
      const std::string advice = known.empty()     ? "plugin " + plugin_ + " has no options"
                                 : nearest.empty() ? "known here: " + join(known)
                                                   : "did you mean `" + path + '.' + nearest + "`?";
      problems_.push_back({member.key_place, "unknown key `" + path + '.' + member.key + "`; " + advice});
    }
  }

  static bool one_of(const Json& value, const Json& schema) {
    const auto list = schema.find("enum");
    return list == schema.end() || std::find(list->begin(), list->end(), value) != list->end();
  }

  static bool in_range(std::int64_t value, const Json& schema) {
    return (!schema.contains("minimum") || value >= schema["minimum"].get<std::int64_t>()) &&
           (!schema.contains("maximum") || value <= schema["maximum"].get<std::int64_t>());
  }

  static std::string choices(const Json& schema) {
    std::vector<std::string> names;
    for (const Json& choice : schema["enum"])
      names.push_back(choice.is_string() ? choice.get<std::string>() : choice.dump());
    return "one of " + join(names);
  }

  static std::string range(const Json& schema) {
    const bool least = schema.contains("minimum"), most = schema.contains("maximum");
    if (least && most) return "a number from " + schema["minimum"].dump() + " to " + schema["maximum"].dump();
    if (least) return "a number of at least " + schema["minimum"].dump();
    if (most) return "a number of at most " + schema["maximum"].dump();
    return "a whole number";
  }

  std::string plugin_;
  std::vector<ConfigProblem>& problems_;
};

}  // namespace

OptionsReading read_options(const Config& config, const std::string& plugin, const std::string& options_schema) {
  OptionsReading out;
  const auto configured = config.plugins.find(plugin);
  const ConfigPlace place = configured == config.plugins.end() ? ConfigPlace{} : configured->second.place;
  try {
    const Json schema = Json::parse(options_schema.empty() ? "{}" : options_schema);
    const ConfigValue* given = config.tree ? config.tree->options(plugin) : nullptr;
    out.json = OptionsReader(plugin, out.problems).object(given, schema, "plugin." + plugin + ".options").dump();
  } catch (const Json::exception& error) {
    out.problems.push_back(
        {place, "the options schema of plugin " + plugin + " is broken (" + error.what() + "); ask its author"});
  }
  return out;
}

}  // namespace gatehouse
