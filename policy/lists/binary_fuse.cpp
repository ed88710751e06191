// A shard is built by peeling: a hash that is alone in one of its three cells is set aside and taken out of the other
// two, which may leave others alone, until none is left. Then, last first, that one cell is set to what makes the three
// cells of its hash give the fingerprint; no later hash touches it again.
#include "policy/lists/binary_fuse.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace gatehouse::policy {
namespace {

// Larger shards need fewer bytes a name (1.19 here, 1.13 at best), smaller ones are built in the processor's cache.
constexpr std::size_t kHashesPerShard = 65'536;

/// The end of a shard's part of the sorted hashes.
auto shard_end(std::span<const std::uint64_t> hashes, std::size_t shard, std::size_t shards) {
  return std::partition_point(hashes.begin(), hashes.end(),
                              [&](std::uint64_t hash) { return place_in(hash, shards) <= shard; });
}

}  // namespace

/// Memory for building one shard, used for all.
struct BinaryFuse::Workspace {
  struct Cell {
    std::uint64_t mixed = 0;  ///< of all hashes that are here, xor-ed: of the only one, if there is one
    std::uint32_t count = 0;
    std::uint32_t which = 0;  ///< the same, for which of the hash's three cells this is
  };
  struct Peeled {
    std::uint64_t mixed;
    std::uint32_t which;
  };
  std::vector<Cell> cells;
  std::vector<std::uint32_t> alone;  ///< cells that had one hash when they were put here
  std::vector<Peeled> peeled;

  void take_out(std::uint64_t mixed, const Shape& shape) {
    const auto places = shape.places(mixed);
    for (std::uint32_t i = 0; i < places.size(); ++i) {
      Cell& cell = cells[places[i]];
      cell.mixed ^= mixed;
      cell.which ^= i;
      if (--cell.count == 1) alone.push_back(places[i]);
    }
  }
};

// The segment length and the room to spare are the ones that the paper found by experiment.
BinaryFuse::Shape BinaryFuse::shape_for(std::size_t hashes) {
  const auto n = static_cast<double>(std::max<std::size_t>(hashes, 2));
  const auto exponent = static_cast<unsigned>(std::floor(std::log(n) / std::log(3.33) + 2.25));
  const double room = std::max(1.125, 0.875 + 0.25 * std::log(1e6) / std::log(n));
  Shape shape;
  shape.segment = std::uint32_t{1} << std::min(exponent, 18U);
  const auto segments = static_cast<std::uint32_t>(std::ceil(n * room / shape.segment));
  shape.starts = segments > 2 ? segments - 2 : 1;
  return shape;
}

BinaryFuse::BinaryFuse(std::span<const std::uint64_t> hashes) {
  if (hashes.empty()) return;
  const std::size_t shards = (hashes.size() + kHashesPerShard - 1) / kHashesPerShard;
  std::vector<std::span<const std::uint64_t>> parts;
  std::size_t largest = 0;
  for (auto begin = hashes.begin(); parts.size() < shards;) {
    const auto end = shard_end({begin, hashes.end()}, parts.size(), shards);
    parts.emplace_back(begin, end);
    largest = std::max(largest, parts.back().size());
    begin = end;
  }
  shape_ = shape_for(largest);
  salts_.resize(shards);
  cells_.resize(shards * shape_.cells());
  Workspace work;
  for (std::size_t shard = 0; shard < shards; ++shard)
    while (!fill(shard, parts[shard], work))
      if (++salts_[shard] == 0)
        throw std::runtime_error("a domain list has hashes that are not random; use another seed");
}

bool BinaryFuse::fill(std::size_t shard, std::span<const std::uint64_t> hashes, Workspace& work) {
  work.cells.assign(shape_.cells(), {});
  work.alone.clear();
  work.peeled.clear();
  for (const std::uint64_t hash : hashes) {
    const std::uint64_t mixed = mix(hash, salts_[shard]);
    const auto places = shape_.places(mixed);
    for (std::uint32_t i = 0; i < places.size(); ++i) {
      Workspace::Cell& cell = work.cells[places[i]];
      cell.mixed ^= mixed;
      cell.which ^= i;
      ++cell.count;
    }
  }
  for (std::uint32_t place = 0; place < work.cells.size(); ++place)
    if (work.cells[place].count == 1) work.alone.push_back(place);
  while (!work.alone.empty()) {
    const Workspace::Cell cell = work.cells[work.alone.back()];
    work.alone.pop_back();
    if (cell.count != 1) continue;
    work.peeled.push_back({cell.mixed, cell.which});
    work.take_out(cell.mixed, shape_);
  }
  if (work.peeled.size() != hashes.size()) return false;

  std::uint8_t* const cells = cells_.data() + shard * shape_.cells();
  for (std::size_t i = work.peeled.size(); i-- > 0;) {
    const auto [mixed, which] = work.peeled[i];
    const auto [a, b, c] = shape_.places(mixed);
    const std::uint32_t own = std::array{a, b, c}[which];
    cells[own] = fingerprint(mixed) ^ cells[a] ^ cells[b] ^ cells[c];  // cells[own] is still 0
  }
  return true;
}

}  // namespace gatehouse::policy
