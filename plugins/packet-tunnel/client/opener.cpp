#include "plugins/packet-tunnel/client/opener.hpp"

#include "plugins/packet-tunnel/client/outside_look_up.hpp"

#include <gatehouse/net/client_stream.hpp>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

constexpr unsigned kTooMany = 429, kFirstServerError = 500, kFirstClientError = 400;

/// Will the same question be answered the same way?
bool is_final(unsigned status) noexcept {
  return status >= kFirstClientError && status < kFirstServerError && status != kTooMany;
}

void add(std::string& all, const std::string& one) { all += (all.empty() ? "" : "; ") + one; }

}  // namespace

/// What the thread works on: copies of everything.
struct Opener::Attempt {
  const ClientSettings settings;
  const std::string session_id;
  const Way way;
  KnownServers known;
  std::size_t first;
  OpeningFailure failure{{}, {}, true};

  Outcome run() {
    if (settings.servers.empty()) {
      if (auto opened = try_target({})) return std::move(*opened);
      return failure;
    }
    const std::size_t count = settings.servers.size();
    for (std::size_t tried = 0; tried < count; ++tried, first = (first + 1) % count)
      if (auto opened = try_server(settings.servers[first])) return std::move(*opened);
    return failure;
  }

  /// Each look-up is made only where all before it have led nowhere: the system's may take long.
  std::optional<OpenedTunnel> try_server(const std::string& name) {
    std::vector<IpAddress> tried;
    if (auto opened = try_all(kept_targets(name), tried)) return opened;
    if (auto opened = try_all(outside_targets(name), tried)) return opened;
    if (!tried.empty() && !way.nameservers.empty()) return {};
    try {
      return try_all(keep(name, look_up(name)), tried);
    } catch (const std::exception& problem) {
      fail(problem.what());
      return {};
    }
  }

  std::optional<OpenedTunnel> try_all(const std::vector<ServerTarget>& targets, std::vector<IpAddress>& tried) {
    for (const ServerTarget& target : targets) {
      const bool is_known = target.address.family() != Family::none;
      if (is_known && std::ranges::count(tried, target.address) != 0) continue;
      if (is_known) tried.push_back(target.address);
      if (auto opened = try_target(target)) return opened;
    }
    return {};
  }

  std::vector<ServerTarget> kept_targets(const std::string& name) {
    std::vector<ServerTarget> out;
    for (const IpAddress& address : known[name]) out.push_back({name, address});
    return out;
  }

  std::vector<ServerTarget> outside_targets(const std::string& name) {
    const ClientAddress to = ClientAddress::parse(name);
    std::vector<ServerTarget> out;
    if (way.nameservers.empty() || !to.path.empty() || IpAddress::parse(to.host)) return out;
    for (const IpAddress& address : look_up_outside(to.host, way.nameservers, way.mark)) out.push_back({name, address});
    return out.empty() ? out : keep(name, out);
  }

  std::vector<ServerTarget> keep(const std::string& name, std::vector<ServerTarget> targets) {
    std::vector<IpAddress>& kept = known[name];
    kept.clear();
    for (const ServerTarget& target : targets)
      if (target.address.family() != Family::none) kept.push_back(target.address);
    return targets;
  }

  std::optional<OpenedTunnel> try_target(const ServerTarget& target) {
    try {
      return open_tunnel(settings, target, session_id, way.mark, way.form, steady_now() + kAttempt);
    } catch (const ClientRefused& refused) {
      add(failure.sentence, refused.what());
      failure.is_final = failure.is_final && is_final(refused.status);
      if (refused.retry_after.count() > 0 &&
          (failure.retry_after.count() == 0 || refused.retry_after < failure.retry_after))
        failure.retry_after = refused.retry_after;
    } catch (const std::exception& problem) {
      fail(problem.what());
    }
    return {};
  }

  void fail(const std::string& sentence) {
    add(failure.sentence, sentence);
    failure.is_final = false;
  }
};

Opener::Opener(LaneLoop& loop, const ClientSettings& settings, OnDone on_done)
    : loop_(loop), settings_(settings), on_done_(std::move(on_done)) {}

Opener::~Opener() {
  *is_alive_ = false;
  if (thread_.joinable()) thread_.join();
}

void Opener::start(const std::string& session_id, Way way) {
  if (is_busy_) return;
  if (thread_.joinable()) thread_.join();
  is_busy_ = true;
  Attempt made{settings_, session_id, std::move(way), known_, first_, {{}, {}, true}};
  thread_ = std::thread([this, is_alive = is_alive_, attempt = std::move(made)]() mutable {
    Outcome outcome = attempt.run();
    loop_.post([this, is_alive, outcome = std::move(outcome), known = std::move(attempt.known),
                had = attempt.first]() mutable {
      if (*is_alive) done(std::move(outcome), std::move(known), had);
    });
  });
}

void Opener::done(Outcome outcome, KnownServers known, std::size_t had) {
  is_busy_ = false;
  known_ = std::move(known);
  first_ = had;
  on_done_(std::move(outcome));
}

}  // namespace gatehouse::packet_tunnel
