// A private folder for one test, and the test plugins that the build made.
#pragma once

#include "tests/unit/folders.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

namespace gatehouse {

/// Is removed with all that is in it.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gatehouse-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// The file that fixtures/NAME.c was built to.
inline std::filesystem::path test_plugin(const std::string& name) {
  return binary_folder() / "test-plugins" / (name + ".so");
}

}  // namespace gatehouse
