#include <gatehouse/plugin/source_table.hpp>

#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace gatehouse {

/// Also a /48 is one, in place of its /64s: whoever has a whole network is not many. Its clients are in the rows of
/// those.
struct SourceClient::Source {
  explicit Source(bool shares) noexcept : shares_limits(shares) {}
  const bool shares_limits;
  using Place = boost::intrusive::member_hook<SourceClient, decltype(SourceClient::place_), &SourceClient::place_>;
  boost::intrusive::list<SourceClient, Place> row;            // the longest without a look first
  RankHeap<SourceClient, &SourceClient::by_flows_> by_flows;  // with room for all of the row
  std::uint64_t clients = 0, flows = 0;
  Rank rank_by_clients, rank_by_flows;
  const std::string* key = nullptr;

  struct Ranking {
    RankHeap<Source, &Source::rank_by_clients> by_clients;
    RankHeap<Source, &Source::rank_by_flows> by_flows;

    void set(Source& source) {
      by_clients.set(source, source.clients);
      by_flows.set(source, source.flows);
    }
    void remove(Source& source) noexcept {
      by_clients.remove(source);
      by_flows.remove(source);
    }
  };
  Source* network = nullptr;  // the /48 around a /64
  Ranking within;             // of a /48: its /64s
};

struct SourceTable::Sources {
  std::map<std::string, Source, std::less<>> by_key;  // a tree: no client can make it slow by choosing its address
  Source::Ranking ranking;                            // of all but those within a /48

  Source& at(std::string key, bool shares_limits) {
    const auto found = by_key.try_emplace(std::move(key), shares_limits).first;
    found->second.key = &found->first;
    return found->second;
  }
  [[nodiscard]] Source::Ranking& ranking_of(const Source& source) noexcept {
    return source.network != nullptr ? source.network->within : ranking;
  }
  /// Gives a source, and the network around it, their places, or takes away those of what has no clients.
  void settle(Source& source) {
    Source* const network = source.network;
    if (source.clients != 0) {
      ranking_of(source).set(source);
    } else {
      ranking_of(source).remove(source);
      by_key.erase(by_key.find(*source.key));
    }
    if (network != nullptr) settle(*network);
  }
};

namespace {

bool is_local(const IpAddress& address) noexcept {
  return address.is_loopback() || (!address.is_v4() && !address.is_v6());
}

/// Another one where the client was active since, but once in four billion: then it keeps its place that once.
std::uint32_t mark_of(SteadyTime time) noexcept { return static_cast<std::uint32_t>(to_ns(time)); }

std::string key_of_network(char kind, std::uint64_t prefix) {
  return kind + std::string(reinterpret_cast<const char*>(&prefix), sizeof prefix);
}

std::string key_of(const IpAddress& address, std::string_view identity) {
  if (!identity.empty()) return 'i' + std::string(identity);
  if (is_local(address)) return {};
  if (address.is_v4()) return '4' + address.to_string();
  return key_of_network('6', address.upper64());
}

}  // namespace

SourceTable::SourceTable() : sources_(std::make_unique<Sources>()) {}
SourceTable::~SourceTable() = default;

void SourceTable::add(SourceClient& client, const IpAddress& address, std::string_view identity) {
  const bool shares_limits = !identity.empty() || !is_local(address);
  Source& source = sources_->at(key_of(address, identity), shares_limits);
  client.placed_ = mark_of(client.last_active);
  client.source_ = &source;
  source.row.push_back(client);
  ++source.clients;
  ++size_;
  try {
    if (identity.empty() && !is_local(address) && address.is_v6()) {
      if (source.network == nullptr)
        source.network = &sources_->at(key_of_network('n', address.upper64() >> 16U), true);
      ++source.network->clients;
    }
    source.by_flows.reserve(source.clients);
    sources_->settle(source);
  } catch (...) {
    remove(client);
    throw;
  }
}

std::uint64_t SourceTable::clients_of(const IpAddress& address, std::string_view identity) const {
  const bool has_network = identity.empty() && !is_local(address) && address.is_v6();
  const auto found =
      sources_->by_key.find(has_network ? key_of_network('n', address.upper64() >> 16U) : key_of(address, identity));
  return found == sources_->by_key.end() ? 0 : found->second.clients;
}

void SourceTable::remove(SourceClient& client) noexcept {
  if (client.source_ == nullptr) return;
  Source& source = *client.source_;
  if (client.flows() != 0) set_flows(client, 0);
  source.row.erase(source.row.iterator_to(client));
  client.source_ = nullptr;
  --size_;
  --source.clients;
  if (source.network != nullptr) --source.network->clients;
  sources_->settle(source);
}

void SourceTable::set_flows(SourceClient& client, std::uint64_t flows) noexcept {
  if (client.source_ == nullptr) return;
  Source& source = *client.source_;
  const std::uint64_t more = flows - client.flows();
  if (flows == 0) {
    source.by_flows.remove(client);
  } else {
    source.by_flows.set(client, static_cast<std::uint32_t>(flows));
  }
  source.flows += more;
  sources_->ranking_of(source).by_flows.set(source, source.flows);
  if (source.network == nullptr) return;
  source.network->flows += more;
  sources_->ranking.by_flows.set(*source.network, source.network->flows);
}

SourceClient* SourceTable::idlest() noexcept {
  if (size_ == 0) return nullptr;
  Source* const most = sources_->ranking.by_clients.top();
  Source* const within = most->within.by_clients.top();
  auto& row = (within != nullptr ? within : most)->row;
  SourceClient* idlest = &row.front();
  for (std::size_t looks = std::min(row.size(), kMostLooks); looks > 0; --looks) {
    SourceClient* const client = &row.front();
    if (mark_of(client->last_active) == client->placed_) return client;
    if (client->last_active < idlest->last_active) idlest = client;
    client->placed_ = mark_of(client->last_active);
    row.splice(row.end(), row, row.begin());
  }
  return idlest;
}

SourceClient* SourceTable::busiest() const noexcept {
  if (size_ == 0) return nullptr;
  const Source* const most = sources_->ranking.by_flows.top();
  const Source* const within = most->within.by_flows.top();
  return most->flows == 0 ? nullptr : (within != nullptr ? within : most)->by_flows.top();
}

SourceClient* SourceTable::busiest_beside(SourceClient& client) const noexcept {
  if (client.source_ == nullptr) return nullptr;
  if (client.source_->shares_limits) return client.source_->by_flows.top();
  return client.flows() == 0 ? nullptr : &client;
}

}  // namespace gatehouse
