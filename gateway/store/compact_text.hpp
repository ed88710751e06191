// Strings for records by the hundred thousand.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse {

/// A string in a pointer's room; none is allocated for an empty one.
class CompactText {
 public:
  CompactText() noexcept = default;
  explicit CompactText(std::string_view text) {
    if (!text.empty()) write(text);
  }
  /// One that is there though it may have no bytes: empty() is false.
  [[nodiscard]] static CompactText present(std::string_view text) {
    CompactText out;
    out.write(text);
    return out;
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
  void write(std::string_view text) {
    const auto size = static_cast<std::uint32_t>(text.size());
    bytes_ = std::make_unique_for_overwrite<char[]>(sizeof size + size);
    std::memcpy(bytes_.get(), &size, sizeof size);
    if (size != 0) std::memcpy(bytes_.get() + sizeof size, text.data(), size);
  }

  std::unique_ptr<char[]> bytes_;  // its length, 4 bytes, and it
};

/// By what a client's session is found: a key of 255 bytes at most, and an identity. In a pointer's room, and one
/// allocation for both.
class SessionName {
 public:
  SessionName() noexcept = default;
  SessionName(std::string_view key, std::string_view identity)
      : text_(key.empty() && identity.empty() ? std::string() : char(key.size()) + std::string(key).append(identity)) {}

  [[nodiscard]] std::string_view key() const noexcept { return text_.empty() ? "" : bytes().substr(0, key_size()); }
  [[nodiscard]] std::string_view identity() const noexcept { return text_.empty() ? "" : bytes().substr(key_size()); }

 private:
  [[nodiscard]] std::size_t key_size() const noexcept {
    return static_cast<unsigned char>(std::string_view(text_).front());
  }
  [[nodiscard]] std::string_view bytes() const noexcept { return std::string_view(text_).substr(1); }

  CompactText text_;  // the key's length, 1 byte, and both
};

/// Some strings of 255 bytes at most, each once, in a pointer's room. All calls are O(bytes).
class CompactTexts {
 public:
  [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept {
    std::size_t out = 0;
    for_each([&out](std::string_view) { ++out; });
    return out;
  }
  [[nodiscard]] bool contains(std::string_view text) const noexcept {
    bool out = false;
    for_each([&](std::string_view one) { out = out || one == text; });
    return out;
  }
  void add(std::string_view text) { *this = and_also(text); }
  /// They and one more.
  [[nodiscard]] CompactTexts and_also(std::string_view text) const {
    CompactTexts out;
    out.all_ = CompactText(std::string(std::string_view(all_)).append(1, char(text.size())).append(text));
    return out;
  }
  /// The first of which is(text) is true; else "".
  template <class Is>
  [[nodiscard]] std::string_view find_if(Is is) const {
    std::string_view out;
    for_each([&](std::string_view one) {
      if (out.empty() && is(one)) out = one;
    });
    return out;
  }
  /// Removes those of which is(text) is true. @throws std::bad_alloc, then nothing has changed
  template <class Is>
  void erase_if(Is is) {
    std::string left;
    for_each([&](std::string_view one) {
      if (!is(one)) left.append(1, char(one.size())).append(one);
    });
    if (left.size() != std::string_view(all_).size()) all_ = CompactText(left);
  }
  void clear() noexcept { all_ = {}; }
  template <class Visit>
  void for_each(Visit visit) const {
    for (std::string_view rest = all_; !rest.empty();) {
      const std::size_t size = static_cast<unsigned char>(rest.front());
      visit(rest.substr(1, size));
      rest.remove_prefix(1 + size);
    }
  }

 private:
  CompactText all_;  // of each its length, 1 byte, and it
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

/// What those strings are: of plugins and groups. Thread-safe; none is ever removed.
class SharedNames {
 public:
  /// That text, where it stays as long as *this. Locks, and may allocate.
  [[nodiscard]] SharedName at(std::string_view text) {
    const std::scoped_lock lock(mutex_);
    const auto known = names_.find(text);
    return SharedName(known != names_.end() ? *known : *names_.emplace(text).first);
  }

 private:
  std::mutex mutex_;  // guards names_
  std::set<std::string, std::less<>> names_;
};

}  // namespace gatehouse
