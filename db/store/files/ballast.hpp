// A file that only takes up room, to be given away when the disk is full: deleting rows needs room too. One owner.
#pragma once

#include <cstdint>
#include <filesystem>

namespace gatehouse::db {

class Ballast {
 public:
  static constexpr std::int64_t kBytes = 1 << 20;

  explicit Ballast(std::filesystem::path path) : path_(std::move(path)) {}

  /// Bytes that are free on that disk. One system call.
  [[nodiscard]] std::uint64_t room() const noexcept;
  /// Gives the room back. @return false: there was none to give
  bool release() noexcept;
  /// Takes the room if it is not taken and that leaves `free` bytes.
  void restore(std::uint64_t free = kBytes) noexcept;

 private:
  [[nodiscard]] std::int64_t size() const noexcept;

  std::filesystem::path path_;
};

}  // namespace gatehouse::db
