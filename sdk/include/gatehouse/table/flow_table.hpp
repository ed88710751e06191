// Flows by key and by handle: the lane's memory of who talks to whom. One per lane: no call is thread-safe.
#pragma once

#include <gatehouse/table/slab.hpp>

#include <boost/container_hash/hash.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <utility>

namespace gatehouse {

/// A flow never moves while it lives, so that descriptors, timers and lists may point to it.
///
/// Beside Flow and Key a flow costs 8 bytes in its slot and 5 bytes in the index, which is between 7/16 and 7/8 full:
/// 14 to 20 bytes. The index holds slot numbers and reads the keys from the slots, so a key is stored once.
template <class Key, class Flow, class Hash = boost::hash<Key>>
class FlowTable {
 public:
  /// A flow and its handle, or nothing.
  struct Found {
    SlotHandle handle;     ///< names this flow, and no later one
    Flow* flow = nullptr;  ///< lives, where it is, until it is erased; null: nothing

    [[nodiscard]] explicit operator bool() const noexcept { return flow != nullptr; }
    Flow* operator->() const noexcept { return flow; }
    Flow& operator*() const noexcept { return *flow; }
  };

  /// Allocates nothing before the first flow.
  FlowTable() : index_(0, KeyHash{&slots_}, KeyEqual{&slots_}) {}
  FlowTable(const FlowTable&) = delete;
  FlowTable& operator=(const FlowTable&) = delete;

  /// The flow of `key`, or nothing.
  [[nodiscard]] Found find(const Key& key) noexcept {
    const auto place = index_.find(key);
    return place == index_.end() ? Found{} : found_at(place->slot);
  }

  /// Makes Flow(args...) under `key` and returns it with true; or the flow that is there already, with false.
  /// Amortised O(1); allocates when the table grows.
  /// @throws std::bad_alloc, or what Flow's constructor throws; then nothing has changed
  template <class... Args>
  std::pair<Found, bool> insert(const Key& key, Args&&... args) {
    if (const Found old = find(key)) return {old, false};
    const SlotHandle handle = slots_.emplace(key, std::forward<Args>(args)...);
    try {
      index_.insert(Place{handle.slot()});
    } catch (...) {
      slots_.erase(handle);
      throw;
    }
    return {found_at(handle.slot()), true};
  }

  /// Destroys the flow; false (and nothing happens) for a stale handle. Memory is given back with the last flow.
  bool erase(SlotHandle handle) noexcept {
    const Entry* entry = slots_.at(handle);
    if (entry == nullptr) return false;
    index_.erase(index_.find(entry->key));
    slots_.erase(handle);
    if (slots_.empty()) release_index();
    return true;
  }

  /// The flow, or nullptr for a stale handle: an event of a descriptor that was closed earlier in the same batch.
  [[nodiscard]] Flow* at(SlotHandle handle) noexcept {
    Entry* entry = slots_.at(handle);
    return entry != nullptr ? &entry->flow : nullptr;
  }
  /// The flow in a slot that is known to be in use, as a recency list names it.
  [[nodiscard]] Flow& operator[](std::uint32_t slot) noexcept { return slots_[slot].flow; }
  /// The handle and the key of such a slot.
  [[nodiscard]] SlotHandle handle_at(std::uint32_t slot) const noexcept { return slots_.handle_at(slot); }
  /// Valid as long as the flow.
  [[nodiscard]] const Key& key_at(std::uint32_t slot) const noexcept { return slots_[slot].key; }

  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
  [[nodiscard]] bool empty() const noexcept { return slots_.empty(); }
  /// Bytes allocated for slots; the index comes on top.
  [[nodiscard]] std::size_t memory() const noexcept { return slots_.memory(); }

  /// Calls visit(SlotHandle, const Key&, Flow&) in slices, so that thousands of flows can be judged again between two
  /// batches of packets: see Slab::sweep(). `visit` may erase any flow and insert new ones.
  template <class Visit>
  bool sweep(std::uint32_t& cursor, std::size_t budget, Visit&& visit) {
    return slots_.sweep(cursor, budget, [&](SlotHandle handle, Entry& entry) { visit(handle, entry.key, entry.flow); });
  }

  /// All of them at once, under the same rules.
  template <class Visit>
  void for_each(Visit&& visit) {
    std::uint32_t cursor = 0;
    sweep(cursor, SIZE_MAX, visit);
  }

  /// Destroys every flow, and gives the memory back.
  void clear() noexcept {
    release_index();
    slots_.clear();
  }

 private:
  struct Entry {
    template <class... Args>
    explicit Entry(const Key& k, Args&&... args) : key(k), flow(std::forward<Args>(args)...) {}
    const Key key;
    Flow flow;
  };
  using Slots = Slab<Entry>;

  struct Place {  // a type of its own, because a key may be a plain integer
    std::uint32_t slot;
  };
  struct KeyHash {
    using is_transparent = void;
    const Slots* slots;
    std::size_t operator()(const Key& key) const noexcept { return Hash{}(key); }
    std::size_t operator()(Place place) const noexcept { return Hash{}((*slots)[place.slot].key); }
  };
  struct KeyEqual {
    using is_transparent = void;
    const Slots* slots;
    bool operator()(Place a, Place b) const noexcept { return a.slot == b.slot; }
    bool operator()(const Key& key, Place place) const noexcept { return key == (*slots)[place.slot].key; }
    bool operator()(Place place, const Key& key) const noexcept { return key == (*slots)[place.slot].key; }
  };
  using Index = boost::unordered_flat_set<Place, KeyHash, KeyEqual>;

  Found found_at(std::uint32_t slot) noexcept { return {slots_.handle_at(slot), &slots_[slot].flow}; }
  void release_index() noexcept { Index(0, KeyHash{&slots_}, KeyEqual{&slots_}).swap(index_); }

  Slots slots_;
  Index index_;
};

}  // namespace gatehouse
