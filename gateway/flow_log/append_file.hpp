// A file of lines that others may rename away, as logrotate does: then a new one is made under the old name. One thread
// an object.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace gatehouse {

class AppendFile {
 public:
  /// Opens the file, or makes it with the mode 0640. @throws Refusal  unless it and its folders are own: own_path.hpp
  explicit AppendFile(std::filesystem::path path);

  /// Appends whole lines. When the name stands for another file by now, or for none, that one is opened first; if it
  /// cannot be, the old one goes on. Blocks as long as the disk does.
  /// @return how many of the lines are not in the file
  [[nodiscard]] std::uint64_t write(std::string_view lines);
  /// What was wrong at the last write(): a sentence, or "".
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  [[nodiscard]] bool was_replaced() const noexcept;
  void follow_the_name();

  std::filesystem::path path_;
  UniqueFd fd_;
  bool torn_ = false;  // the file ends in the midst of a line, whose rest is lost
  std::string failure_;
};

}  // namespace gatehouse
