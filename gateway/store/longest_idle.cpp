#include "gateway/store/longest_idle.hpp"

#include <algorithm>
#include <tuple>

namespace gatehouse {
namespace {

constexpr std::size_t kBuckets = 4096;  // of shares: more than one in one does no harm while each is small
constexpr std::size_t kLargeShare = 16;

}  // namespace

std::size_t bring_forward(std::vector<IdleSession>& sessions, std::size_t most) {
  const std::size_t count = std::min(most, sessions.size());
  std::vector<std::size_t> of_bucket(kBuckets);
  for (const IdleSession& session : sessions) ++of_bucket[session.share % kBuckets];
  const auto rank = [&](const IdleSession& session) {
    const bool is_large = of_bucket[session.share % kBuckets] > sessions.size() / kLargeShare;
    return std::tuple(!is_large, -session.idle_seconds, session.id);
  };
  const auto middle = sessions.begin() + static_cast<std::ptrdiff_t>(count);
  std::nth_element(sessions.begin(), middle, sessions.end(),
                   [&](const IdleSession& a, const IdleSession& b) { return rank(a) < rank(b); });
  return count;
}

}  // namespace gatehouse
