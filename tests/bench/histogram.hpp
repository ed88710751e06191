// Times by their size, exact to 2 %: as many as there are, in little memory.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace gatehouse::bench {

class Histogram {
 public:
  void add(std::uint64_t value) {
    ++counts_[index_of(value)];
    ++size_;
  }
  void clear() {
    counts_.fill(0);
    size_ = 0;
  }
  /// Not more than the share `q` of all are below it; 0 where there are none.
  [[nodiscard]] std::uint64_t quantile(double q) const {
    const auto wanted = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(size_)));
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if (counts_[i] > 0 && (sum += counts_[i]) >= wanted) return least_of(i);
    return 0;
  }

 private:
  static constexpr unsigned kStepBits = 6;  // steps within a power of two: 64
  static constexpr std::size_t kSteps = std::size_t{1} << kStepBits;

  static std::size_t index_of(std::uint64_t value) {
    if (value < kSteps) return value;
    const auto power = static_cast<unsigned>(std::bit_width(value)) - 1;
    return (power - kStepBits + 1) * kSteps + ((value >> (power - kStepBits)) & (kSteps - 1));
  }
  static std::uint64_t least_of(std::size_t index) {
    if (index < kSteps) return index;
    const auto power = static_cast<unsigned>(index / kSteps) + kStepBits - 1;
    return (std::uint64_t{1} << power) + (std::uint64_t{index % kSteps} << (power - kStepBits));
  }

  std::array<std::uint64_t, kSteps*(64 - kStepBits + 1)> counts_{};
  std::uint64_t size_ = 0;
};

}  // namespace gatehouse::bench
