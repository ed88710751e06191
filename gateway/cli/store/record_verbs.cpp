#include "gateway/cli/store/record_verbs.hpp"

#include "db/store/state_reader.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/running_gateway.hpp"
#include "gateway/daemon/store_tables.hpp"

#include <nlohmann/json.hpp>

#include <functional>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// For people: without what only programs need; a line on standard error says what is not shown.
std::string condense(const Invocation& invocation, const std::string& json, const std::string& list, bool ended) {
  auto body = Json::parse(json, nullptr, false);
  if (!body.is_object() || !body.contains(list) || !body[list].is_array()) return json;
  const std::size_t count = body.value("count", std::size_t{0}), shown = body[list].size();
  if (count > shown)
    complain(invocation, std::to_string(shown) + " of " + std::to_string(count) + " are shown; " +
                             (shown < kMostAtOnce ? "--limit takes more" : "more cannot be shown at once"));
  if (!body.value("current", true))
    complain(invocation, "the store cannot be written just now: what has changed since its last commit is not shown");
  body.erase("source");
  body.erase("current");
  body.erase("count");
  if (!ended) {
    for (Json& row : body[list]) row.erase("ended_at");
  }
  return one_line(body);
}

/// Answers from state.db, by `read(reader)`, in place of a gateway that does not run.
/// @throws NoGateway  there is no such file, or another gateway was asked for by --socket
ControlReply ask_file(const Invocation& invocation, const NoGateway& nobody,
                      const std::function<std::string(db::StateReader&)>& read) {
  if (!invocation.socket.empty()) throw nobody;
  const fs::path state_db = load_config(invocation).store.state_db();
  std::error_code failure;
  if (state_db.empty() || !fs::exists(state_db, failure)) throw nobody;
  complain(invocation,
           std::string(nobody.what()) + "; this is what " + state_db.string() + " has, as of its last commit");
  try {
    db::StateReader reader(state_db);
    return {200, read(reader)};
  } catch (const std::exception& error) {
    return control_error(500, error.what());
  }
}

int show(const Invocation& invocation, const std::string& verb, const RecordArguments& arguments,
         const std::function<std::string(db::StateReader&)>& read) {
  const Json asked = {{"most", arguments.most},
                      {"ended", arguments.ended},
                      {"plugin", arguments.plugin},
                      {"since", arguments.since},
                      {"by", arguments.by}};
  ControlReply reply;
  try {
    reply = ask_gateway(invocation, verb, Access::read, one_line(asked));
  } catch (const NoGateway& nobody) {
    reply = ask_file(invocation, nobody, read);
  }
  if (!invocation.json && reply.status == 200) reply.json = condense(invocation, reply.json, verb, arguments.ended);
  return print_reply(invocation, reply);
}

Shown of_file(const RecordArguments& arguments) { return {.from = kFromFile, .most = shown_of(arguments.most)}; }

}  // namespace

int sessions_verb(const Invocation& invocation, const RecordArguments& arguments) {
  return show(invocation, "sessions", arguments, [&](db::StateReader& reader) {
    Shown shown = of_file(arguments);
    auto sessions = reader.sessions(arguments.ended, shown.most, arguments.plugin);
    const std::size_t ended = arguments.ended ? reader.count_sessions(true, arguments.plugin) : 0;
    shown.others = reader.count_sessions(false, arguments.plugin) + ended - sessions.size();
    return sessions_json({shown, shown_sessions(std::move(sessions), reader.leases())});
  });
}

int leases_verb(const Invocation& invocation, const RecordArguments& arguments) {
  return show(invocation, "leases", arguments, [&](db::StateReader& reader) {
    return leases_json(of_file(arguments), reader.leases(), shown_sessions(reader.sessions(false, SIZE_MAX), {}));
  });
}

int usage_verb(const Invocation& invocation, const RecordArguments& arguments) {
  const UsageQuestion usage = usage_question(arguments.since, arguments.by, unix_now());
  return show(invocation, "usage", arguments, [&](db::StateReader& reader) {
    return usage_json(of_file(arguments), usage, reader.usage(usage.first, usage.last));
  });
}

}  // namespace gatehouse
