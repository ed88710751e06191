// What a step of the check tells, line by line through a pipe: whatever was said before a crash is kept. Each line
// begins with a secret of its step, since the plugin may write to the pipe as well.
#pragma once

#include <nlohmann/json.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

namespace gatehouse::conformance {

using Json = nlohmann::ordered_json;

/// The child's side. Thread-safe: lanes may find something too.
class Notes {
 public:
  static constexpr std::size_t kMostBytes = 65536;  ///< of a line
  static constexpr std::size_t kMostSeen = 1000;    ///< of a finding's sentence, which may have the plugin's words

  /// @param fd  the pipe; stays the caller's
  Notes(int fd, std::string secret) noexcept : fd_(fd), secret_(std::move(secret)) {}
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
  /// A line could not be written: somebody has closed the pipe.
  [[nodiscard]] bool is_cut_off() const noexcept { return is_cut_off_; }

 private:
  void write(const Json& line);

  const int fd_;
  const std::string secret_;
  std::mutex mutex_;
  std::atomic<bool> is_cut_off_ = false;
};

}  // namespace gatehouse::conformance
