// Configuration documents as values that remember where they were written, so that every later sentence can name
// file, line and column. The format's parser stays in toml_reader.cpp. Values; no thread rule.
#pragma once

#include "gateway/config/config.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// One value of a document, and the key that it has in its table.
struct ConfigValue {
  enum class Kind { string, integer, real, boolean, time, array, table };
  Kind kind = Kind::table;
  std::string key;  ///< "" in an array and at the top
  ConfigPlace key_place, place;
  std::string text;  ///< string; real and time as written
  std::int64_t integer = 0;
  bool boolean = false;
  std::vector<ConfigValue> children;  ///< of an array, in order; of a table, by key

  /// The member of that name, or nullptr; also when this is not a table.
  [[nodiscard]] const ConfigValue* find(std::string_view name) const noexcept;
  /// For a sentence: `"loud"`, `5`, `true`, `an array`, `a table`.
  [[nodiscard]] std::string describe() const;
};

/// All documents merged: what `Config::tree` holds for the plugins' schemas.
class ConfigTree {
 public:
  ConfigValue root;

  /// `[plugin.NAME.options]`, or nullptr.
  [[nodiscard]] const ConfigValue* options(std::string_view plugin) const noexcept;
};

/// Lays `later` over `base`: tables are merged key by key, everything else is replaced.
void merge(ConfigValue& base, ConfigValue later);

/// Parses one TOML file; problems go to `problems`, and then the result is an empty table.
[[nodiscard]] ConfigValue read_toml_file(const std::filesystem::path& file, std::vector<ConfigProblem>& problems);

/// Parses "dotted.key=TOML value" into the tables that lead to it. A value that is not TOML and opens no quote,
/// array or table is a string.
[[nodiscard]] ConfigValue read_override(const std::string& argument, std::vector<ConfigProblem>& problems);

}  // namespace gatehouse
