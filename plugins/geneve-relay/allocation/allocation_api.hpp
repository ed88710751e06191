// Asking for an endpoint over HTTP: POST /v0/relay/endpoint on the listeners of the role `listen_api`.
//
//   request             {"DiscoKeys":["discokey:<64 hex>","discokey:<64 hex>"]}, at most 512 bytes
//   200                 the endpoint, one line of JSON; after `Accept: application/json; form=1` durations are numbers
//   400, 411, 413, 417  no such request
//   401, 403            no credential, or nobody's; denied, or a page in a browser
//   404, 405            another path or method
//   429                 the identity has enough
//   503                 not now; Retry-After says when
//
// All but 200 have {"error": sentence}. One request at a time of each connection, which stays for more of them.
#pragma once

#include "plugins/geneve-relay/allocation/allocation_metrics.hpp"
#include "plugins/geneve-relay/allocation/allocator.hpp"

#include <gatehouse/plugin/plugin.hpp>
#include <gatehouse/plugin/stream_listeners.hpp>

#include <memory>
#include <string>
#include <vector>

namespace gatehouse::geneve_relay {

/// One lane's; not thread-safe. What clients cost before they are asked for a credential, and while they wait, is
/// bounded by StreamListeners.
class AllocationApi {
 public:
  static constexpr const char* kRole = "listen_api";
  /// For the manifest: there for this machine, a token has its place, TLS and the rest are the operator's to configure.
  static constexpr Role role() noexcept { return make_local_role(kRole, Openings::http); }

  /// `context` and `allocator` outlive it; an endpoint that is still being asked for when it goes is nobody's to hear
  /// of.
  AllocationApi(const LaneContext& context, Allocator& allocator);
  AllocationApi(const AllocationApi&) = delete;
  AllocationApi& operator=(const AllocationApi&) = delete;

  /// Why these listeners must not be, as a sentence; "" = they may. For start() and listeners_changed(): over TCP
  /// whoever asks shows a token or a certificate, also on loopback, where every user of the machine is.
  [[nodiscard]] static std::string fault_of(const std::vector<Listener>& listeners);

  /// The complete set of the lane's listeners; those of other roles are left out. `{}` in drain(): what is asked by
  /// then is answered.
  void listen(const std::vector<Listener>& listeners);

 private:
  struct Asker;
  void take(ApiCall call);
  void allocate(ApiCall call, const DiscoPair& clients);
  void tell(Asker& asker, const AllocationOutcome& outcome);

  LaneContext context_;
  Allocator& allocator_;
  AllocationMetrics metrics_;
  ConnectionLog connections_;
  const Budget budget_;
  StreamListeners listeners_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for answers that come later
};

}  // namespace gatehouse::geneve_relay
