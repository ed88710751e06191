// The endpoints of a lane: by VNI, as packets name them, and by the pair of keys, as they are asked for.
#pragma once

#include "plugins/geneve-relay/fast_path/leg_entry.hpp"
#include "plugins/geneve-relay/relay/endpoint.hpp"
#include "plugins/geneve-relay/server/endpoint_askers.hpp"

#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/plugin/session_handle.hpp>
#include <gatehouse/plugin/source_table.hpp>
#include <gatehouse/table/flow_table.hpp>
#include <gatehouse/table/timer_wheel.hpp>

#include <boost/unordered/unordered_flat_set.hpp>

#include <array>
#include <memory>
#include <utility>

namespace gatehouse::geneve_relay {

class RelaySocket;

/// A leg in the kernel's map: kernel_legs.hpp.
struct KernelLeg {
  std::uint32_t map = 0;  ///< the number of the one that it is in
  FastUse counted{};      ///< of what it has carried
};

/// An endpoint and what the lane has for it.
struct RelayEntry : TimerNode, SourceClient {
  RelayEntry(RelayEndpoint state, std::uint64_t lamport, AskerHandle who, SessionHandle kept, PolicyClient client)
      : endpoint(std::move(state)),
        session(kept),
        policy(std::move(client)),
        lamport_id(lamport),
        asker(std::move(who)) {}

  /// For people: Session::set_state.
  void tell_state() noexcept { session.set_state(endpoint.state(0).to_word(), endpoint.state(1).to_word()); }

  bool is_metered = false;  ///< PolicyClient::charge() is to be asked
  bool is_durable = false;  ///< somebody may know of it
  RelayEndpoint endpoint;
  SessionHandle session;
  PolicyClient policy;       ///< of the asker
  std::uint64_t lamport_id;  ///< of its allocation
  AskerHandle asker;
  std::array<RelaySocket*, kLegs> sockets{};  ///< each leg is reached by; null: not bound, or the listener is gone
  std::unique_ptr<std::array<KernelLeg, kLegs>> in_kernel;  ///< null before either of them is there
  SteadyTime touched{};                                     ///< when the host was told that it is still there
};

// As long as nobody has sent a handshake: then its legs come on top. Beside it a slot has 16 bytes, and the two indexes
// 12 to 24.
static_assert(sizeof(RelayEntry) <= 256, "an endpoint is to cost little, for the host's part comes on top");

/// One lane's; not thread-safe. An entry never moves.
class EndpointTable {
  using Table = FlowTable<std::uint32_t, RelayEntry>;

 public:
  using Found = Table::Found;

  explicit EndpointTable(const DiscoPairHash& hash) : hash_(hash), pairs_(0, PairHash{this}, PairEqual{this}) {}
  EndpointTable(const EndpointTable&) = delete;
  EndpointTable& operator=(const EndpointTable&) = delete;

  [[nodiscard]] Found find(std::uint32_t vni) noexcept { return table_.find(vni); }
  [[nodiscard]] Found find(const DiscoPair& pair) noexcept {
    const auto at = pairs_.find(pair);
    return at == pairs_.end() ? Found{} : Found{table_.handle_at(at->slot), &table_[at->slot]};
  }
  [[nodiscard]] RelayEntry* at(SlotHandle handle) noexcept { return table_.at(handle); }

  /// Neither the VNI nor the pair may be in here. @throws std::bad_alloc, then nothing has changed
  template <class... Args>
  Found insert(std::uint32_t vni, Args&&... args) {
    const Found made = table_.insert(vni, std::forward<Args>(args)...).first;
    try {
      pairs_.insert(Place{made.handle.slot()});
    } catch (...) {
      table_.erase(made.handle);
      throw;
    }
    return made;
  }
  void erase(SlotHandle handle) noexcept {
    pairs_.erase(pairs_.find(Place{handle.slot()}));
    table_.erase(handle);
  }

  [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }
  /// As FlowTable::sweep(): visit(SlotHandle, RelayEntry&).
  template <class Visit>
  bool sweep(std::uint32_t& cursor, std::size_t budget, Visit&& visit) {
    return table_.sweep(cursor, budget,
                        [&](SlotHandle handle, std::uint32_t, RelayEntry& entry) { visit(handle, entry); });
  }

 private:
  struct Place {
    std::uint32_t slot;
  };
  [[nodiscard]] const DiscoPair& pair_of(Place place) const noexcept {
    return const_cast<Table&>(table_)[place.slot].endpoint.clients();
  }
  struct PairHash {
    using is_transparent = void;
    using is_avalanching = void;
    const EndpointTable* table;
    std::size_t operator()(const DiscoPair& pair) const noexcept { return table->hash_(pair); }
    std::size_t operator()(Place place) const noexcept { return table->hash_(table->pair_of(place)); }
  };
  struct PairEqual {
    using is_transparent = void;
    const EndpointTable* table;
    bool operator()(Place a, Place b) const noexcept { return a.slot == b.slot; }
    bool operator()(const DiscoPair& pair, Place place) const noexcept { return pair == table->pair_of(place); }
    bool operator()(Place place, const DiscoPair& pair) const noexcept { return pair == table->pair_of(place); }
  };

  const DiscoPairHash hash_;
  Table table_;
  boost::unordered_flat_set<Place, PairHash, PairEqual> pairs_;
};

}  // namespace gatehouse::geneve_relay
