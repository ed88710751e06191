#include "plugins/packet-tunnel/client/opener.hpp"

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
  const std::uint32_t mark;
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
      for (const ServerTarget& target : targets_of(settings.servers[first]))
        if (auto opened = try_target(target)) return std::move(*opened);
    return failure;
  }

  std::vector<ServerTarget> targets_of(const std::string& name) {
    try {
      std::vector<ServerTarget> out = look_up(name);
      std::vector<IpAddress>& kept = known[name];
      kept.clear();
      for (const ServerTarget& target : out)
        if (target.address.family() != Family::none) kept.push_back(target.address);
      return out;
    } catch (const std::exception& problem) {
      std::vector<ServerTarget> out;
      for (const IpAddress& address : known[name]) out.push_back({name, address});
      if (out.empty()) fail(problem.what());
      return out;
    }
  }

  std::optional<OpenedTunnel> try_target(const ServerTarget& target) {
    try {
      return open_tunnel(settings, target, session_id, mark, steady_now() + kAttempt);
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

void Opener::start(const std::string& session_id, std::uint32_t mark) {
  if (is_busy_) return;
  if (thread_.joinable()) thread_.join();
  is_busy_ = true;
  thread_ = std::thread([this, is_alive = is_alive_,
                         attempt = Attempt{settings_, session_id, mark, known_, first_, {{}, {}, true}}]() mutable {
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
