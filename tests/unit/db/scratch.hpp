// A folder for one test, and the sqlite3 shell as a user of it.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace gatehouse {

class ScratchFolder {
 public:
  explicit ScratchFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "gatehouse-test-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no scratch folder");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// What the sqlite3 shell prints, errors included.
inline std::string run_sqlite_shell(const std::filesystem::path& database, const std::string& sql) {
  const std::string script = database.string() + ".test.sql";
  std::ofstream(script) << sql << (sql.starts_with('.') ? "\n" : ";\n");
  FILE* const pipe = popen(("sqlite3 " + database.string() + " < " + script + " 2>&1").c_str(), "r");
  if (!pipe) throw std::runtime_error("no sqlite3 shell");
  std::string out;
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) out.append(buffer.data(), n);
  pclose(pipe);
  std::filesystem::remove(script);
  return out;
}

}  // namespace gatehouse
