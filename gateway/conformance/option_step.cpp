#include "gateway/conformance/steps.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace gatehouse::conformance {
namespace {

bool has_type(const Json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "boolean") return value.is_boolean();
  if (type == "array") return value.is_array();
  return type == "object" && value.is_object();
}

bool is_allowed(const Json& value, const Json& property) {
  if (property.contains("enum"))
    return std::find(property["enum"].begin(), property["enum"].end(), value) != property["enum"].end();
  if (!value.is_number_integer()) return true;
  return !(property.contains("minimum") && value < property["minimum"]) &&
         !(property.contains("maximum") && value > property["maximum"]);
}

/// The schema by itself: what the host could not hold options against, or would hold its own defaults for wrong.
class SchemaCheck {
 public:
  explicit SchemaCheck(Notes& notes) : notes_(notes) {}

  /// @return the properties, or an object without any
  Json run(const char* text) {
    const Json schema = Json::parse(text, nullptr, false);
    if (!schema.is_object()) {
      bad("the options' schema is no JSON object");
      return Json::object();
    }
    const Json properties = schema.value("properties", Json::object());
    if (!properties.is_object()) {
      bad("`properties` of the options' schema is no object");
      return Json::object();
    }
    for (const auto& [name, property] : properties.items()) check(name, property);
    return properties;
  }

 private:
  void bad(const std::string& seen) { notes_.found("bad_schema", seen); }

  void check(const std::string& name, const Json& property) {
    const std::string of = "the option `" + name + "` ";
    if (!property.is_object() || !property.contains("type")) return bad(of + "has no type");
    const std::string type = property["type"].is_string() ? property["type"].get<std::string>() : "";
    constexpr std::array kTypes{"string", "integer", "boolean", "array", "object"};
    if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end())
      return bad(of + "has a type that the gateway does not know: " + property["type"].dump());
    if (type == "array" && !property.contains("items")) bad(of + "is an array of what? It has no `items`");
    if (type == "array" && property.contains("items")) check(name + "[]", property["items"]);
    check_values(of, type, property);
    if (!name.ends_with("[]") && property.value("description", "").empty())
      notes_.found("bare_manifest", of + "has no description");
    if (const std::string reload = property.value("x-reload", "restart"); reload != "live" && reload != "restart")
      bad(of + "has an x-reload that is neither live nor restart");
  }

  void check_values(const std::string& of, const std::string& type, const Json& property) {
    for (const char* const bound : {"minimum", "maximum"})
      if (property.contains(bound) && !property[bound].is_number_integer())
        return bad(of + "has no whole number as " + bound);
    if (property.contains("enum") && (!property["enum"].is_array() || property["enum"].empty()))
      return bad(of + "has an `enum` without values");
    if (!property.contains("default")) return;
    const Json& value = property["default"];
    if (!has_type(value, type)) return bad(of + "has a default that is no " + type + ": " + value.dump());
    if (!is_allowed(value, property)) bad(of + "has a default that its schema does not allow: " + value.dump());
  }

  Notes& notes_;
};

class OptionCheck {
 public:
  OptionCheck(Rig& rig, Json properties) : rig_(rig), properties_(std::move(properties)) {}

  void run() {
    rig_.notes.phase("it is configured with its defaults");
    for (const std::uint32_t flags : {std::uint32_t{GH_CONFIGURE_CHECK}, std::uint32_t{0}}) {
      const Answer answer = rig_.try_options(rig_.options.dump(), flags);
      rig_.require_words(answer, "configure()");
      if (!answer.ok()) return rig_.notes.found("default_refused", "it refuses its own defaults: " + answer.why);
    }
    rig_.notes.phase("it is configured with values that its schema allows");
    for (const auto& [name, property] : properties_.items()) try_allowed(name, property);
    rig_.notes.phase("it is configured with values that make no sense");
    for (const auto& [name, property] : properties_.items()) try_wrong(name, property);
    for (const char* const document : {"", "{", "[]", "null", "\"\xff\"", R"({"no such option": 1})"})
      rig_.require_words(rig_.try_options(document, GH_CONFIGURE_CHECK), "configure()");
  }

 private:
  Answer configure(const std::string& name, const Json& value) {
    Json options = rig_.options;
    options[name] = value;
    const Answer answer = rig_.try_options(options.dump(), GH_CONFIGURE_CHECK);
    rig_.require_words(answer, "configure()");
    return answer;
  }

  void try_allowed(const std::string& name, const Json& property) {
    if (!property.is_object()) return;
    std::vector<Json> values;
    for (const char* const bound : {"minimum", "maximum"})
      if (property.contains(bound)) values.push_back(property[bound]);
    if (property.contains("enum"))
      for (const Json& choice : property["enum"]) values.push_back(choice);
    if (property.value("type", Json()) == "boolean") values.insert(values.end(), {true, false});
    for (const Json& value : values) {
      const Answer answer = configure(name, value);
      if (!answer.ok())
        rig_.notes.found("option_refused", '`' + name + "` = " + value.dump() + " is refused: " + answer.why);
    }
  }

  /// The gateway refuses what the schema does not allow; whatever comes, the plugin survives it.
  void try_wrong(const std::string& name, const Json& property) {
    for (const Json& value : {Json(nullptr), Json("no such value"), Json(-1), Json(true), Json(1.5),
                              Json(Json::array({1})), Json(Json::object()), Json(std::string(100'000, 'x'))})
      static_cast<void>(configure(name, value));
    if (!property.is_object() || property.value("type", Json()) != "integer" || property.contains("enum")) return;
    const auto is_open = [&](const char* bound, std::int64_t value) {
      if (property.contains(bound) || !configure(name, value).ok()) return;
      rig_.notes.found("bad_option_accepted",
                       '`' + name + "` = " + std::to_string(value) + " is accepted, for it has no " + bound);
    };
    is_open("minimum", std::numeric_limits<std::int64_t>::min());
    is_open("maximum", std::numeric_limits<std::int64_t>::max());
  }

  Rig& rig_;
  const Json properties_;
};

}  // namespace

void check_options(const Subject& subject, Notes& notes) {
  Rig rig(subject, notes);
  notes.phase("the schema of its options is read");
  OptionCheck(rig, SchemaCheck(notes).run(rig.manifest().options_schema)).run();
}

}  // namespace gatehouse::conformance
