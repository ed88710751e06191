// Who has asked for endpoints: a hundred thousand may be of one asker, who is kept once.
#pragma once

#include <gatehouse/base/address.hpp>

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace gatehouse::geneve_relay {

/// Policy judges an endpoint's clients as this one's.
struct EndpointAsker {
  std::string identity;        ///< "" = anonymous
  Endpoint source;             ///< family none for a Unix peer
  std::uint32_t listener = 0;  ///< Listener::id

  auto operator<=>(const EndpointAsker&) const = default;
};

class AskerHandle;

/// One lane's; not thread-safe. Outlives its handles. Who asks from a port of its own each time is another one.
class EndpointAskers {
 public:
  EndpointAskers() = default;
  EndpointAskers(const EndpointAskers&) = delete;
  EndpointAskers& operator=(const EndpointAskers&) = delete;

  /// @throws std::bad_alloc. O(log n)
  [[nodiscard]] AskerHandle at(EndpointAsker asker);
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

 private:
  friend class AskerHandle;
  struct Use {
    EndpointAskers* of;
    std::uint32_t handles = 0;
  };
  std::map<EndpointAsker, Use> all_;  // a tree: nobody can make it slow by choosing an address
};

/// Keeps an asker known; in a pointer's room.
class AskerHandle {
 public:
  AskerHandle(AskerHandle&& other) noexcept : at_(std::exchange(other.at_, nullptr)) {}
  AskerHandle& operator=(AskerHandle&&) = delete;
  ~AskerHandle() {
    if (at_ != nullptr && --at_->second.handles == 0) at_->second.of->all_.erase(at_->first);
  }
  const EndpointAsker& operator*() const noexcept { return at_->first; }
  const EndpointAsker* operator->() const noexcept { return &at_->first; }

 private:
  friend class EndpointAskers;
  using Place = decltype(EndpointAskers::all_)::value_type;
  explicit AskerHandle(Place& at) noexcept : at_(&at) { ++at.second.handles; }

  Place* at_;
};

inline AskerHandle EndpointAskers::at(EndpointAsker asker) {
  return AskerHandle(*all_.try_emplace(std::move(asker), Use{this}).first);
}

}  // namespace gatehouse::geneve_relay
