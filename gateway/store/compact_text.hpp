// Strings for records by the hundred thousand.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace gatehouse {

/// A string in a pointer's room; none is allocated for an empty one.
class CompactText {
 public:
  CompactText() noexcept = default;
  explicit CompactText(std::string_view text) {
    if (text.empty()) return;
    const auto size = static_cast<std::uint32_t>(text.size());
    bytes_ = std::make_unique_for_overwrite<char[]>(sizeof size + size);
    std::memcpy(bytes_.get(), &size, sizeof size);
    std::memcpy(bytes_.get() + sizeof size, text.data(), size);
  }

  operator std::string_view() const noexcept {
    if (!bytes_) return {};
    std::uint32_t size = 0;
    std::memcpy(&size, bytes_.get(), sizeof size);
    return {bytes_.get() + sizeof size, size};
  }
  [[nodiscard]] bool empty() const noexcept { return bytes_ == nullptr; }
  bool operator==(std::string_view other) const noexcept { return std::string_view(*this) == other; }

 private:
  std::unique_ptr<char[]> bytes_;  // its length, 4 bytes, and it
};

/// One of a few strings that many records have, and that outlive them; "" by default.
class SharedName {
 public:
  SharedName() noexcept = default;
  explicit SharedName(const std::string& name) noexcept : name_(&name) {}

  operator std::string_view() const noexcept { return name_ == nullptr ? std::string_view() : *name_; }
  bool operator==(std::string_view other) const noexcept { return std::string_view(*this) == other; }

 private:
  const std::string* name_ = nullptr;
};

}  // namespace gatehouse
