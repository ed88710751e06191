// What it costs to look names up in a domain list and to compile one. All times are for a name with its hashing.
#include "policy/lists/name_set.hpp"
#include "policy/match/list_rule.hpp"
#include "policy/match/name_suffixes.hpp"

#include <gatehouse/table/flow_table.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::policy {
namespace {

constexpr HashSeed kSeed{0x3b1f'9d02'77aa'5e61, 0x90ce'14d8'62b3'f705};

std::uint64_t scramble(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
  return x ^ (x >> 31);
}

void append_label(std::string& out, std::uint64_t draw, std::size_t shortest, std::size_t longest) {
  const std::size_t length = shortest + draw % (longest - shortest + 1);
  for (std::size_t i = 0; i < length; ++i) {
    if (i % 8 == 0) draw = scramble(draw + 0x9e37'79b9'7f4a'7c15);
    out += "abcdefghijklmnopqrstuvwxyz012345"[draw >> (5 * (i % 8)) & 31];
  }
}

/// Name `i` of a world of names: 45 in 100 lie below one of the others; 24.4 characters in the mean.
std::string name_of(std::uint64_t world, std::uint64_t i) {
  static constexpr std::array kEnds{".com", ".com", ".com", ".net", ".org", ".de", ".ru", ".info", ".co.uk", ".xyz"};
  const std::uint64_t draw = scramble((world << 40) + i);
  std::string out;
  if (i % 100 < 45) {
    append_label(out, draw, 3, 17);
    i = scramble(draw) % (i + 100);
    i += i % 100 < 45 ? 50 : 0;
    out += '.';
  }
  const std::uint64_t site = scramble((world << 40) + i);
  append_label(out, site, 8, 23);
  return out += kEnds[(site >> 32) % kEnds.size()];
}

constexpr std::uint64_t kListed = 1, kOthers = 2;  // worlds

HashedNames hashes_of_list(std::size_t names) {
  HashedNames out;
  out.reserve(names);
  for (std::size_t i = 0; i < names; ++i) out.add(name_of(kListed, i), ListEntry::listed, kSeed);
  return out;
}

/// Names one after the other, as a stream of questions would have them.
class Queries {
 public:
  Queries(std::size_t count, std::size_t listed_names, unsigned hits_in_ten) {
    std::mt19937_64 random(count);
    for (std::size_t i = 0; i < count; ++i) {
      const bool hit = i % 10 < hits_in_ten;
      text_ += name_of(hit ? kListed : kOthers, random() % (hit ? listed_names : 100'000'000));
      ends_.push_back(text_.size());
    }
  }
  [[nodiscard]] std::string_view operator[](std::size_t i) const {
    return std::string_view(text_).substr(ends_[i], ends_[i + 1] - ends_[i]);
  }
  [[nodiscard]] std::size_t size() const { return ends_.size() - 1; }
  [[nodiscard]] double mean_length() const { return static_cast<double>(text_.size()) / static_cast<double>(size()); }

 private:
  std::string text_;
  std::vector<std::size_t> ends_{0};
};

/// One list at a time is kept, for the benchmarks that ask it.
const std::shared_ptr<const NameSet>& list_of(std::size_t names) {
  static std::size_t kept_names = 0;
  static std::shared_ptr<const NameSet> kept;
  if (kept_names != names) {
    kept.reset();
    kept = NameSet::build(hashes_of_list(names));
    kept_names = names;
  }
  return kept;
}

void ask(benchmark::State& state, std::size_t distinct, unsigned hits_in_ten) {
  const auto names = static_cast<std::size_t>(state.range(0));
  const ListRule list{list_of(names)};
  const Queries queries(distinct, names, hits_in_ten);
  std::size_t i = 0, asked = 0, hits = 0;
  for (auto _ : state) {
    hits += list.find(NameSuffixes(queries[i], kSeed)) ? 1 : 0;
    if (++i == queries.size()) i = 0;
    ++asked;
  }
  state.counters["bytes_per_name"] = static_cast<double>(list.names->bytes()) / static_cast<double>(list.names->size());
  state.counters["hits"] = static_cast<double>(hits) / static_cast<double>(asked);
  state.counters["mean_length"] = queries.mean_length();
}

void list_hot(benchmark::State& state) { ask(state, 8'192, 1); }
void list_cold_miss(benchmark::State& state) { ask(state, 1'000'000, 0); }
void list_cold_hit(benchmark::State& state) { ask(state, 1'000'000, 10); }

void hash_suffixes(benchmark::State& state) {
  const Queries queries(8'192, 1'000'000, 1);
  std::size_t i = 0;
  for (auto _ : state) {
    const NameSuffixes suffixes(queries[i], kSeed);
    benchmark::DoNotOptimize(suffixes.hash(0));
    benchmark::ClobberMemory();
    if (++i == queries.size()) i = 0;
  }
  state.counters["mean_length"] = queries.mean_length();
}

/// Resident memory in bytes: "VmRSS:" now, "VmHWM:" at most since start_peak().
double resident(std::string_view field) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(field)) return 1024.0 * std::stod(line.substr(field.size()));
  return 0;
}

void start_peak() { std::ofstream("/proc/self/clear_refs") << 5; }

/// @return seconds; peak_over_result counts the hashes that build() consumes
void list_build(benchmark::State& state) {
  double bytes_per_name = 0, peak = 0;
  for (auto _ : state) {
    const double before = resident("VmRSS:");
    HashedNames hashes = hashes_of_list(static_cast<std::size_t>(state.range(0)));
    start_peak();
    const auto start = std::chrono::steady_clock::now();
    const auto list = NameSet::build(std::move(hashes));
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    bytes_per_name = static_cast<double>(list->bytes()) / static_cast<double>(list->size());
    peak = std::max(peak, (resident("VmHWM:") - before) / static_cast<double>(list->bytes()));
  }
  state.counters["bytes_per_name"] = bytes_per_name;
  state.counters["peak_over_result"] = peak;
}

void sizes(benchmark::internal::Benchmark* one) { one->ArgName("names")->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000); }

BENCHMARK(hash_suffixes);
BENCHMARK(list_build)->Apply(sizes)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(list_hot)->Apply(sizes);
BENCHMARK(list_cold_miss)->Apply(sizes);
BENCHMARK(list_cold_hit)->Apply(sizes);

/// A packet of a flow that was judged before: find the flow, compare the generation.
void cached_verdict(benchmark::State& state) {
  struct Flow {
    std::uint64_t generation = 7;
    std::array<std::byte, 120> rest{};
  };
  FlowTable<std::uint64_t, Flow> flows;
  std::vector<std::uint64_t> packets;
  const auto count = static_cast<std::uint64_t>(state.range(0));
  for (std::uint64_t i = 0; i < count; ++i) {
    packets.push_back(i / 16 << 16 | i % 16);  // a client's number and the client's number for the flow
    flows.insert(packets.back());
  }
  std::shuffle(packets.begin(), packets.end(), std::mt19937_64(1));
  std::uint64_t generation = 7;
  benchmark::DoNotOptimize(generation);
  std::size_t i = 0, judged_again = 0;
  for (auto _ : state) {
    const auto found = flows.find(packets[i]);
    if (!found || found->generation != generation) ++judged_again;
    benchmark::DoNotOptimize(found.flow);
    if (++i == packets.size()) i = 0;
  }
  if (judged_again != 0) state.SkipWithError("a flow is missing");
}
BENCHMARK(cached_verdict)->ArgName("flows")->Arg(1'000)->Arg(10'000)->Arg(100'000);

}  // namespace
}  // namespace gatehouse::policy
