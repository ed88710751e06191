// Room for what a plugin says about a failure.
#pragma once

#include <gatehouse/abi.h>

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
  /// The sentence, or a general one for `status`.
  [[nodiscard]] std::string words(gh_status status) const {
    if (message_.size > 0) return {text_.data(), std::min(message_.size, text_.size())};
    return "status " + std::to_string(status) + " without a message";
  }

 private:
  std::array<char, 1024> text_;
  gh_message message_{text_.data(), text_.size(), 0};
};

}  // namespace gatehouse
