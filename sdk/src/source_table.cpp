#include <gatehouse/plugin/source_table.hpp>

#include <algorithm>
#include <map>
#include <string>

namespace gatehouse {

struct SourceClient::Source {
  explicit Source(bool shares) noexcept : shares_limits(shares) {}
  const bool shares_limits;
  std::list<SourceClient*> row;  // the longest without a look first
  RankHeap<SourceClient, &SourceClient::by_flows_> by_flows;
  std::uint64_t flows = 0;
  Rank rank_by_clients, rank_by_flows;
  const std::string* key = nullptr;
};

struct SourceTable::Sources {
  std::map<std::string, Source, std::less<>> by_key;  // a tree: no client can make it slow by choosing its address
  RankHeap<Source, &Source::rank_by_clients> by_clients;
  RankHeap<Source, &Source::rank_by_flows> by_flows;
};

namespace {

bool is_local(const IpAddress& address) noexcept {
  return address.is_loopback() || (!address.is_v4() && !address.is_v6());
}

std::string key_of(const IpAddress& address, std::string_view identity) {
  if (!identity.empty()) return 'i' + std::string(identity);
  if (is_local(address)) return {};
  if (address.is_v4()) return '4' + address.to_string();
  const std::uint64_t network = address.upper64();
  return '6' + std::string(reinterpret_cast<const char*>(&network), sizeof network);
}

}  // namespace

SourceTable::SourceTable() : sources_(std::make_unique<Sources>()) {}
SourceTable::~SourceTable() = default;

void SourceTable::add(SourceClient& client, const IpAddress& address, std::string_view identity) {
  const bool shares_limits = !identity.empty() || !is_local(address);
  std::list<SourceClient*> row{&client};
  const auto [found, is_new] = sources_->by_key.try_emplace(key_of(address, identity), shares_limits);
  Source& source = found->second;
  source.key = &found->first;
  client.place_ = row.begin();
  client.placed_ = client.last_active;
  client.source_ = &source;
  source.row.splice(source.row.end(), row);
  ++size_;
  try {
    source.by_flows.set(client, 0);
    sources_->by_clients.set(source, source.row.size());
    sources_->by_flows.set(source, source.flows);
  } catch (...) {
    remove(client);
    throw;
  }
}

void SourceTable::remove(SourceClient& client) noexcept {
  if (client.source_ == nullptr) return;
  Source& source = *client.source_;
  if (client.flows() != 0) set_flows(client, 0);
  source.by_flows.remove(client);
  source.row.erase(client.place_);
  client.source_ = nullptr;
  --size_;
  if (!source.row.empty()) {
    if (source.rank_by_clients.place != Rank::kNowhere) sources_->by_clients.set(source, source.row.size());
    return;
  }
  sources_->by_clients.remove(source);
  sources_->by_flows.remove(source);
  sources_->by_key.erase(sources_->by_key.find(*source.key));
}

void SourceTable::set_flows(SourceClient& client, std::uint64_t flows) noexcept {
  if (client.source_ == nullptr) return;
  Source& source = *client.source_;
  source.flows += flows - client.flows();
  source.by_flows.set(client, flows);
  sources_->by_flows.set(source, source.flows);
}

SourceClient* SourceTable::idlest() noexcept {
  if (size_ == 0) return nullptr;
  auto& row = sources_->by_clients.top()->row;
  SourceClient* idlest = row.front();
  for (std::size_t looks = std::min(row.size(), kMostLooks); looks > 0; --looks) {
    SourceClient* const client = row.front();
    if (client->last_active == client->placed_) return client;
    if (client->last_active < idlest->last_active) idlest = client;
    client->placed_ = client->last_active;
    row.splice(row.end(), row, row.begin());
  }
  return idlest;
}

SourceClient* SourceTable::busiest() const noexcept {
  if (size_ == 0) return nullptr;
  const Source* const source = sources_->by_flows.top();
  return source->flows == 0 ? nullptr : source->by_flows.top();
}

SourceClient* SourceTable::busiest_beside(SourceClient& client) const noexcept {
  if (client.source_ == nullptr) return nullptr;
  SourceClient* const busiest = client.source_->shares_limits ? client.source_->by_flows.top() : &client;
  return busiest->flows() == 0 ? nullptr : busiest;
}

}  // namespace gatehouse
