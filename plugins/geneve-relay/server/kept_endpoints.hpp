// What an earlier process, or an earlier run of a lane, has left of its endpoints, until they are served again: a
// hundred thousand take half a second, so they come in slices, and before its turn whichever a packet is for.
#pragma once

#include "plugins/geneve-relay/server/relay_blob.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse::geneve_relay {

/// An endpoint that is to be served again. Borrows its names.
struct KeptEndpoint {
  std::uint64_t session = 0;  ///< 0: it is served
  std::string_view identity;  ///< of whoever asked for it
  Endpoint source;            ///< where that was
  RelayBlob blob;
};

/// One lane's. `serve(const KeptEndpoint&)` says whether that is done, or to be tried again in another round. In one
/// piece, and names once each, so that nothing stays of it between what stays: memory is given back by pages.
class KeptEndpoints {
 public:
  /// Copies the names. @throws std::bad_alloc
  void add(KeptEndpoint endpoint) {
    endpoint.identity = kept(endpoint.identity);
    endpoint.blob.listener = kept(endpoint.blob.listener);
    places_.insert_or_assign(endpoint.blob.vni, static_cast<std::uint32_t>(endpoints_.size()));
    endpoints_.push_back(std::move(endpoint));
    ++waiting_;
  }
  [[nodiscard]] bool empty() const noexcept { return endpoints_.empty(); }
  /// How many have their turn in this round yet; before the first round, all.
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }

  /// A round in which each is tried once.
  void begin() noexcept {
    next_ = 0;
    waiting_ = static_cast<std::size_t>(std::ranges::count_if(endpoints_, &KeptEndpoints::is_kept));
  }
  /// The next `most` of the round. @return it is over
  template <class Serve>
  bool serve_some(std::size_t most, Serve&& serve) {
    const std::size_t end = std::min(endpoints_.size(), next_ + most);
    for (; next_ < end; ++next_) {
      KeptEndpoint& one = endpoints_[next_];
      if (!is_kept(one)) continue;
      --waiting_;
      serve_one(one, serve);
    }
    if (next_ < endpoints_.size()) return false;
    clean_up();
    return true;
  }
  /// That one now, if it is here.
  template <class Serve>
  void serve(std::uint32_t vni, Serve&& serve) {
    const auto at = places_.find(vni);
    if (at == places_.end() || !is_kept(endpoints_[at->second])) return;
    serve_one(endpoints_[at->second], serve);
    if (!is_kept(endpoints_[at->second]) && at->second >= next_) --waiting_;
  }

 private:
  [[nodiscard]] std::string_view kept(std::string_view name) {
    const auto at = names_.find(name);
    return at != names_.end() ? *at : *names_.emplace(name).first;
  }
  template <class Serve>
  static void serve_one(KeptEndpoint& one, Serve&& serve) {
    if (serve(std::as_const(one))) one.session = 0;
  }
  [[nodiscard]] static bool is_kept(const KeptEndpoint& one) noexcept { return one.session != 0; }
  void clean_up() {
    if (std::erase_if(endpoints_, [](const KeptEndpoint& one) { return !is_kept(one); }) == 0) return;
    const auto left = std::exchange(endpoints_, {});
    places_ = {};
    for (const KeptEndpoint& one : left) add(one);
    if (empty()) names_.clear();
    next_ = endpoints_.size();
    waiting_ = 0;
  }

  std::set<std::string, std::less<>> names_;
  std::vector<KeptEndpoint> endpoints_;
  boost::unordered_flat_map<std::uint32_t, std::uint32_t> places_;  // by VNI, in endpoints_
  std::size_t next_ = 0;                                            // of the round
  std::size_t waiting_ = 0;
};

}  // namespace gatehouse::geneve_relay
