// What an earlier process, or an earlier run of a lane, has left of its endpoints, until they are served again: a
// hundred thousand take half a second, so they come in slices, and before its turn whichever a packet is for.
#pragma once

#include "plugins/geneve-relay/server/relay_blob.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gatehouse::geneve_relay {

/// An endpoint that is to be served again.
struct KeptEndpoint {
  std::uint64_t session = 0;  ///< 0: it is served
  std::string identity;       ///< of whoever asked for it
  Endpoint source;            ///< where that was
  RelayBlob blob;
};

/// One lane's. `serve(const KeptEndpoint&)` says whether that is done, or to be tried again in another round.
class KeptEndpoints {
 public:
  void add(KeptEndpoint endpoint) {
    places_.insert_or_assign(endpoint.blob.vni, static_cast<std::uint32_t>(endpoints_.size()));
    endpoints_.push_back(std::move(endpoint));
  }
  [[nodiscard]] bool empty() const noexcept { return endpoints_.empty(); }

  /// A round in which each is tried once.
  void begin() noexcept { next_ = 0; }
  /// The next `most` of the round. @return it is over
  template <class Serve>
  bool serve_some(std::size_t most, Serve&& serve) {
    const std::size_t end = std::min(endpoints_.size(), next_ + most);
    while (next_ < end) serve_one(endpoints_[next_++], serve);
    if (next_ < endpoints_.size()) return false;
    clean_up();
    return true;
  }
  /// That one now, if it is here.
  template <class Serve>
  void serve(std::uint32_t vni, Serve&& serve) {
    if (const auto at = places_.find(vni); at != places_.end()) serve_one(endpoints_[at->second], serve);
  }

 private:
  template <class Serve>
  static void serve_one(KeptEndpoint& one, Serve&& serve) {
    if (one.session != 0 && serve(std::as_const(one))) one.session = 0;
  }
  void clean_up() {
    if (std::erase_if(endpoints_, [](const KeptEndpoint& one) { return one.session == 0; }) == 0) return;
    auto left = std::exchange(endpoints_, {});
    places_ = {};
    for (KeptEndpoint& one : left) add(std::move(one));
  }

  std::vector<KeptEndpoint> endpoints_;
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> places_;  // by VNI, in endpoints_
  std::size_t next_ = 0;                                            // of the round
};

}  // namespace gatehouse::geneve_relay
