// Room for what a plugin says about a failure.
#pragma once

#include <gatehouse/abi.h>

#include <string.h>

#include <algorithm>
#include <array>
#include <string>

namespace gatehouse {

/// For one call.
class PluginMessage {
 public:
  PluginMessage() = default;
  PluginMessage(const PluginMessage&) = delete;
  PluginMessage& operator=(const PluginMessage&) = delete;

  [[nodiscard]] gh_message* out() noexcept { return &message_; }
  /// What the plugin has written, whatever it says about its length.
  [[nodiscard]] std::string text() const {
    return {text_.data(), ::strnlen(text_.data(), std::min(message_.size, text_.size()))};
  }
  /// The sentence, or a general one for `status`.
  [[nodiscard]] std::string words(gh_status status) const {
    std::string said = text();
    return said.empty() ? "status " + std::to_string(status) + " without a message" : said;
  }

 private:
  std::array<char, 1024> text_{};
  gh_message message_{text_.data(), text_.size(), 0};
};

}  // namespace gatehouse
