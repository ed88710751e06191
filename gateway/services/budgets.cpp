#include "gateway/services/budgets.hpp"

namespace gatehouse {
namespace {

// A plugin reads the cells of an atomic as plain words (abi.h).
const std::uint64_t* cell(const std::atomic<std::uint64_t>& of) noexcept {
  static_assert(sizeof(of) == sizeof(std::uint64_t) && std::atomic<std::uint64_t>::is_always_lock_free);
  return reinterpret_cast<const std::uint64_t*>(&of);
}

std::string sentence(std::size_t resource, std::uint64_t memory, std::uint64_t descriptors) {
  switch (resource) {
    case GH_RESOURCE_MEMORY:
      return "clients do not read what waits for them, and the plugin's " + std::to_string(memory) +
             " bytes for that are used up: those with most lose some; see memory_bytes";
    case GH_RESOURCE_DESCRIPTORS:
      return "its clients' " + std::to_string(descriptors) +
             " descriptors are used up, so that old streams or flows are closed for new ones; raise the limit of open "
             "files (LimitNOFILE= of the service, or ulimit -n)";
    default:
      return "local ports are used up, so that old flows are closed for new ones; widen "
             "net.ipv4.ip_local_port_range, or give the plugin more addresses to send from";
  }
}

}  // namespace

PluginBudget::PluginBudget() noexcept
    : table_{sizeof table_, 0, this, cell(memory_), cell(descriptors_), [](void* self, std::uint32_t resource) {
               static_cast<PluginBudget*>(self)->ran_short(resource);
             }} {}

void PluginBudget::ran_short(std::uint32_t resource) noexcept {
  if (resource >= shorts_.size()) return;  // of a later version
  shorts_[resource].count.fetch_add(1, std::memory_order_relaxed);
  shorts_[resource].last.store(to_ns(steady_now()), std::memory_order_relaxed);
}

std::vector<std::string> PluginBudget::reasons(SteadyTime now) const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < shorts_.size(); ++i) {
    const std::uint64_t last = shorts_[i].last.load(std::memory_order_relaxed);
    if (last == 0 || to_ns(now) >= last + static_cast<std::uint64_t>(kShortageHolds.count())) continue;
    out.push_back(sentence(i, memory_.load(std::memory_order_relaxed), descriptors()));
  }
  return out;
}

}  // namespace gatehouse
