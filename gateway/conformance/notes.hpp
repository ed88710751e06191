// What a step of the check tells, line by line through a pipe: whatever was said before a crash is kept.
#pragma once

#include <nlohmann/json.hpp>

#include <mutex>
#include <string>
#include <string_view>

namespace gatehouse::conformance {

using Json = nlohmann::ordered_json;

/// The child's side. Thread-safe: lanes may find something too.
class Notes {
 public:
  /// @param fd  the pipe; stays the caller's
  explicit Notes(int fd) noexcept : fd_(fd) {}
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;

  /// @param id  of a FindingKind. Only the first of each sentence counts
  void found(std::string_view id, std::string_view seen);
  /// What is asked of the plugin from now on, as it goes on behind "while": "it starts".
  void phase(std::string_view what);
  /// Something that the parent needs to know.
  void fact(std::string_view name, const Json& value);
  /// The step could not be done here.
  void skip(std::string_view why);
  /// The last line.
  void done();

 private:
  void write(const Json& line);

  const int fd_;
  std::mutex mutex_;
};

}  // namespace gatehouse::conformance
