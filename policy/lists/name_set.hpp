// One domain list, compiled: which names stand in it. Built once per list file and shared by snapshots; immutable and
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gatehouse::policy {

/// What a list says about exactly one name.
enum class ListEntry : std::uint8_t {
  none,
  listed,
  exception,  ///< the list leaves this name, and what is below it, alone
};

class NameSet {
 public:
  /// @param listed      hash_name() of each entry, in any order, with or without repetition; consumed
  /// @param exceptions  hash_name() of each exception; few
  [[nodiscard]] static std::shared_ptr<const NameSet> build(std::vector<std::uint64_t> listed,
                                                            std::vector<std::uint64_t> exceptions = {});

  /// What the list has under that hash. Wrong for about one name in 2^60 that stands in no list.
  [[nodiscard]] ListEntry find(std::uint64_t hash) const noexcept;

  /// Names, exceptions included.
  [[nodiscard]] std::size_t size() const noexcept { return listed_.size() + exceptions_.size(); }
  /// Memory held.
  [[nodiscard]] std::size_t bytes() const noexcept { return size() * sizeof(std::uint64_t); }

 private:
  NameSet() = default;
  std::vector<std::uint64_t> listed_, exceptions_;  // sorted
};

}  // namespace gatehouse::policy
