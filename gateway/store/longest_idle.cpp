#include "gateway/store/longest_idle.hpp"

#include <algorithm>
#include <tuple>

namespace gatehouse {
namespace {

constexpr std::size_t kLargeShare = 1024;  // one in so many sessions
constexpr std::size_t kSmallShare = 16;    // is never large

/// A session, and how many of its share, then of its network, stay longer than it does.
struct Ranked {
  IdleSession session;
  std::size_t before = 0;
};

/// Sorts by `group` and `order`, and numbers each group from 0.
template <class Group, class Order>
void number(std::vector<Ranked>& all, Group group, Order order) {
  std::sort(all.begin(), all.end(), [&](const Ranked& a, const Ranked& b) {
    return std::tuple(group(a), order(a)) < std::tuple(group(b), order(b));
  });
  std::size_t first = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (group(all[i]) != group(all[first])) first = i;
    all[i].before = i - first;
  }
}

}  // namespace

std::size_t bring_forward(std::vector<IdleSession>& sessions, std::size_t most, std::int64_t least_idle) {
  std::vector<Ranked> all;
  all.reserve(sessions.size());
  for (const IdleSession& session : sessions) all.push_back({session});
  const auto by_idle = [](const Ranked& one) { return std::tuple(one.session.idle_seconds, one.session.id); };
  number(
      all, [](const Ranked& one) { return one.session.share; }, by_idle);
  // The larger shares of a network lose theirs first, down to what the smaller ones have.
  number(
      all, [](const Ranked& one) { return one.session.network; },
      [&](const Ranked& one) { return std::tuple(one.before, by_idle(one)); });
  const std::size_t large = std::max(kSmallShare, sessions.size() / kLargeShare);
  std::erase_if(all, [&](const Ranked& one) { return one.before < large && one.session.idle_seconds < least_idle; });
  const std::size_t count = std::min(most, all.size());
  const auto rank = [&](const Ranked& one) {  // the highest first
    return std::tuple(one.before < large ? 0 : one.before, by_idle(one));
  };
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(),
                   [&](const Ranked& a, const Ranked& b) { return rank(a) > rank(b); });
  for (std::size_t i = 0; i < count; ++i) sessions[i] = all[i].session;
  return count;
}

}  // namespace gatehouse
