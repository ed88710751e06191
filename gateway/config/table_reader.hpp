// Reads the known keys of one table and then names the others: each wrong type and each unknown key becomes a
// problem with its place. Used by one reading at a time.
#pragma once

#include "gateway/config/config_tree.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse {

class TableReader {
 public:
  /// `table` may be nullptr: then no key is there. `path` is the table's dotted name, "" at the top.
  TableReader(const ConfigValue* table, std::string path, std::vector<ConfigProblem>& problems);

  /// The value of a known key, whatever its type, or nullptr.
  const ConfigValue* take(const std::string& key);
  /// Each leaves `out` alone when the key is not there or of another type, which is a problem.
  void read(const std::string& key, std::string& out);
  void read(const std::string& key, bool& out);
  /// A number from `least` to `most`.
  void read(const std::string& key, std::int64_t& out, std::int64_t least, std::int64_t most);
  void read(const std::string& key, std::vector<std::string>& out);
  /// An absolute path.
  void read(const std::string& key, std::filesystem::path& out);
  void read(const std::string& key, std::vector<std::filesystem::path>& out);
  /// One of `choices`.
  void read(const std::string& key, std::string& out, const std::vector<std::string>& choices);
  /// A table, or nullptr.
  const ConfigValue* table(const std::string& key);

  /// Call last: every key that nobody asked for is a problem that names the nearest known one.
  void refuse_unknown_keys();

  [[nodiscard]] std::string path_of(const std::string& key) const;
  void refuse(const ConfigValue& value, const std::string& key, const std::string& must_be);

 private:
  const ConfigValue* take(const std::string& key, ConfigValue::Kind kind, const char* must_be);

  const ConfigValue* table_;
  std::string path_;
  std::vector<std::string> known_;
  std::vector<ConfigProblem>& problems_;
};

/// "a, b, c".
[[nodiscard]] std::string join(const std::vector<std::string>& names);

}  // namespace gatehouse
