// A plugin's options as the host hands them over: valid by the schema and complete with its defaults.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace gatehouse {

/// Immutable after construction. A getter throws std::out_of_range for a name that the schema does not have and
/// std::bad_variant_access for another type: both are faults of the plugin, not of its user.
class Options {
 public:
  /// From the border's JSON object. Throws std::runtime_error when it is none.
  explicit Options(std::string_view json);

  /// Of an option of "type": "string".
  [[nodiscard]] const std::string& text(const std::string& name) const;
  /// Of "integer", within the schema's bounds.
  [[nodiscard]] std::int64_t integer(const std::string& name) const;
  /// Of "boolean".
  [[nodiscard]] bool boolean(const std::string& name) const;
  /// Of "array" with items of "string".
  [[nodiscard]] const std::vector<std::string>& texts(const std::string& name) const;

  bool operator==(const Options&) const = default;

 private:
  using Value = std::variant<std::string, std::int64_t, bool, std::vector<std::string>>;
  std::map<std::string, Value> values_;
};

}  // namespace gatehouse
