#include <gatehouse/plugin/options.hpp>

#include <nlohmann/json.hpp>

#include <stdexcept>

namespace gatehouse {

Options::Options(std::string_view json) {
  const auto document = nlohmann::json::parse(json, nullptr, false);
  if (!document.is_object()) throw std::runtime_error("the options are no JSON object");
  for (const auto& [name, value] : document.items()) {
    if (value.is_string()) {
      values_.emplace(name, value.get<std::string>());
    } else if (value.is_boolean()) {
      values_.emplace(name, value.get<bool>());
    } else if (value.is_number_integer()) {
      values_.emplace(name, value.get<std::int64_t>());
    } else if (value.is_array()) {
      std::vector<std::string> texts;
      for (const auto& item : value) texts.push_back(item.is_string() ? item.get<std::string>() : item.dump());
      values_.emplace(name, std::move(texts));
    } else {
      throw std::runtime_error("option " + name + " has a type that options do not have");
    }
  }
}

const std::string& Options::text(const std::string& name) const { return std::get<std::string>(values_.at(name)); }
std::int64_t Options::integer(const std::string& name) const { return std::get<std::int64_t>(values_.at(name)); }
bool Options::boolean(const std::string& name) const { return std::get<bool>(values_.at(name)); }
const std::vector<std::string>& Options::texts(const std::string& name) const {
  return std::get<std::vector<std::string>>(values_.at(name));
}

}  // namespace gatehouse
