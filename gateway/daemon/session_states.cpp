#include "gateway/daemon/session_states.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace gatehouse {
namespace {

namespace asio = boost::asio;

using Words = std::array<std::uint64_t, 2>;

constexpr std::chrono::milliseconds kLookPause{2};
constexpr Nanoseconds kPatience = std::chrono::seconds(2);  // of the person who asks

struct Question {
  std::shared_ptr<std::vector<SessionState>> states;
  ConfiguredPlugin::Call call;
};

std::map<std::string, std::set<Words>> states_of(const std::vector<LiveSession>& sessions) {
  std::map<std::string, std::set<Words>> out;
  for (const LiveSession& session : sessions) {
    if (session.state != Words{}) out[session.record.plugin].insert(session.state);
  }
  return out;
}

std::map<std::string, Question> ask(const PluginSet& plugins, const std::vector<LiveSession>& sessions) {
  const auto asked = states_of(sessions);
  std::map<std::string, Question> out;
  for (const auto& plugin : plugins.plugins()) {
    const auto mine = asked.find(plugin->name());
    if (mine == asked.end()) continue;
    auto states = std::make_shared<std::vector<SessionState>>();
    for (const Words& words : mine->second) states->push_back({words, {}});
    if (auto call = plugin->describe(states)) out[plugin->name()] = {std::move(states), std::move(call)};
  }
  return out;
}

}  // namespace

CountNames count_names_of(const PluginSet& plugins) {
  CountNames out;
  for (const auto& plugin : plugins.plugins())
    if (auto names = plugin->loaded().count_names(); !names.empty()) out[plugin->name()] = std::move(names);
  return out;
}

/// Plugins may go while it waits; the calls stay, and are over when their plugin has ended.
asio::awaitable<DescribeState> describe_states(const PluginSet& plugins, const std::vector<LiveSession>& sessions) {
  const std::map<std::string, Question> questions = ask(plugins, sessions);
  std::map<std::pair<std::string, Words>, std::string> meanings;
  const SteadyTime deadline = steady_now() + kPatience;
  asio::steady_timer pause(co_await asio::this_coro::executor);
  for (const auto& [plugin, question] : questions) {
    while (!question.call->is_over() && steady_now() < deadline) {
      pause.expires_after(kLookPause);
      co_await pause.async_wait(asio::use_awaitable);
    }
    if (!question.call->is_over() || question.call->refusal()) continue;  // it may still write there
    for (const SessionState& state : *question.states) meanings[{plugin, state.words}] = state.meaning;
  }
  co_return [meanings = std::move(meanings)](const LiveSession& session) {
    const auto found = meanings.find({session.record.plugin, session.state});
    return found == meanings.end() ? std::string() : found->second;
  };
}

}  // namespace gatehouse
