// A lane's clients by their source: when something runs short, the source that has most of it gives way.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/table/rank_heap.hpp>

#include <boost/intrusive/list_hook.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace gatehouse {

/// A client's part in the table, 44 bytes. The client derives from it.
class SourceClient {
 public:
  SteadyTime last_active{};  ///< the client's to write, whenever something comes from it or goes to it

  [[nodiscard]] std::uint64_t flows() const noexcept { return by_flows_.count; }

 protected:
  SourceClient() noexcept = default;
  SourceClient(const SourceClient&) = delete;
  SourceClient& operator=(const SourceClient&) = delete;
  ~SourceClient() = default;

 private:
  friend class SourceTable;
  struct Source;
  Source* source_ = nullptr;
  boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> place_;
  SmallRank by_flows_;        // among those of its source that have flows
  std::uint32_t placed_ = 0;  // mark_of(last_active) when it got its place
};

/// A source is whom policy counts together: an identity, or without one an IPv4 address or an IPv6 /64. Who has an IPv6
/// /48 has 65,536 of these: where the sources of one have more together than any other source or /48, the one of them
/// with most gives way. Clients of nobody known, and those from loopback, are one source here, though they share no
/// limits. One per lane; not thread-safe.
class SourceTable {
 public:
  SourceTable();  ///< throws std::bad_alloc
  ~SourceTable();
  SourceTable(const SourceTable&) = delete;
  SourceTable& operator=(const SourceTable&) = delete;

  /// @param address  family none if it is unknown. @throws std::bad_alloc. O(log n)
  void add(SourceClient& client, const IpAddress& address, std::string_view identity);
  /// Nothing happens if it is not in here. O(log n)
  void remove(SourceClient& client) noexcept;
  /// `client` has so many flows now, fewer than 2^32. O(log n); never allocates.
  void set_flows(SourceClient& client, std::uint64_t flows) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// How many clients there are of the source that such a client has or would have, or of the /48 around it: whatever
  /// one of the two is compared by. @throws std::bad_alloc. O(log n)
  [[nodiscard]] std::uint64_t clients_of(const IpAddress& address, std::string_view identity) const;
  /// Of the source with most clients, as told above, the one that was idle for longest, as far as kMostLooks show; null
  /// when there is none. Amortised O(1): who was active since it was last looked at goes to the end of the row.
  [[nodiscard]] SourceClient* idlest() noexcept;
  /// Of the source with most flows the client with most; null when there are no flows. O(1).
  [[nodiscard]] SourceClient* busiest() const noexcept;
  /// The same among those that share limits with `client`, itself included.
  [[nodiscard]] SourceClient* busiest_beside(SourceClient& client) const noexcept;

  static constexpr std::size_t kMostLooks = 64;  ///< at clients, to find one that gives way

 private:
  using Source = SourceClient::Source;
  struct Sources;
  const std::unique_ptr<Sources> sources_;
  std::size_t size_ = 0;
};

}  // namespace gatehouse
