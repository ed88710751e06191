#include "gateway/cli/store/record_verbs.hpp"

#include "db/file/paths.hpp"
#include "db/lists/list_copy.hpp"
#include "db/store/state_reader.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/running_gateway.hpp"
#include "gateway/daemon/store_tables.hpp"

#include <nlohmann/json.hpp>

#include <functional>
#include <vector>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// For people: without what only programs need; what is not shown is said.
std::string condense(const std::string& json, const std::string& list, bool ended) {
  auto body = Json::parse(json, nullptr, false);
  if (!body.is_object() || !body.contains(list) || !body[list].is_array()) return json;
  const std::size_t count = body.value("count", std::size_t{0}), shown = body[list].size();
  if (count > shown)
    complain(std::to_string(shown) + " of " + std::to_string(count) + " are shown; " +
             (shown < kMostAtOnce ? "--limit takes more" : "more cannot be shown at once"));
  if (!body.value("current", true))
    complain("the store cannot be written just now: what has changed since its last commit is not shown");
  body.erase("source");
  body.erase("current");
  body.erase("count");
  if (!ended) {
    for (Json& row : body[list]) row.erase("ended_at");
  }
  return one_line(body);
}

/// What state.db says in place of a gateway that does not run, by `read(reader)`.
/// @throws NoGateway  there is no such file, or it is not to be taken for it
ControlReply ask_file(const Invocation& invocation, const NoGateway& nobody,
                      const std::function<std::string(db::StateReader&)>& read) {
  if (!invocation.socket.empty()) throw nobody;
  const fs::path state_db = load_config(invocation).store.state_db();
  std::error_code failure;
  if (state_db.empty() || !fs::exists(state_db, failure)) throw nobody;
  complain(std::string(nobody.what()) + "; this is what " + state_db.string() + " has, as of its last commit");
  try {
    db::StateReader reader(state_db);
    return {200, read(reader)};
  } catch (const std::exception& error) {
    return control_error(500, error.what());
  }
}

int show(const Invocation& invocation, const std::string& verb, const StoreQuestion& question,
         const std::function<std::string(db::StateReader&)>& read) {
  const Json asked = {
      {"most", question.most}, {"ended", question.ended}, {"since", question.since}, {"by", question.by}};
  ControlReply reply;
  try {
    reply = ask(invocation, verb, Access::read, one_line(asked));
  } catch (const NoGateway& nobody) {
    reply = ask_file(invocation, nobody, read);
  }
  if (!invocation.json && reply.status == 200) reply.json = condense(reply.json, verb, question.ended);
  return answer(invocation, reply);
}

Shown of_file(const StoreQuestion& question) { return {.from = kFromFile, .most = shown_of(question.most)}; }

struct NamedFile {
  std::string name;
  fs::path file;
};

/// The databases of this configuration; no store where it is memory: only.
std::vector<NamedFile> databases(const Config& config) {
  const fs::path state_db = config.store.state_db();
  std::vector<NamedFile> out;
  if (!state_db.empty()) out = {{"state", state_db}, {"secrets", db::secrets_beside(state_db)}};
  out.push_back({"policy", config.state_dir / "policy.db"});
  return out;
}

}  // namespace

int sessions_verb(const Invocation& invocation, const StoreQuestion& question) {
  return show(invocation, "sessions", question, [&](db::StateReader& reader) {
    Shown shown = of_file(question);
    auto sessions = reader.sessions(question.ended, shown.most);
    shown.others = reader.count_sessions(false) + (question.ended ? reader.count_sessions(true) : 0) - sessions.size();
    return sessions_json(shown, shown_sessions(std::move(sessions), reader.leases()));
  });
}

int leases_verb(const Invocation& invocation, const StoreQuestion& question) {
  return show(invocation, "leases", question, [&](db::StateReader& reader) {
    return leases_json(of_file(question), reader.leases(), shown_sessions(reader.sessions(false, SIZE_MAX), {}));
  });
}

int usage_verb(const Invocation& invocation, const StoreQuestion& question) {
  const UsageQuestion usage = usage_question(question.since, question.by, unix_now());
  return show(invocation, "usage", question, [&](db::StateReader& reader) {
    return usage_json(of_file(question), usage, reader.usage(usage.first, usage.last));
  });
}

int db_backup_verb(const Invocation& invocation, const BackupOrder& order) {
  const std::string wanted = order.policy ? "policy" : order.secrets ? "secrets" : "state";
  fs::path from;
  for (const NamedFile& database : databases(load_config_or_defaults(invocation))) {
    if (database.name == wanted) from = database.file;
  }
  if (from.empty()) throw std::runtime_error("the store is memory:, which has no file to copy");
  if (fs::exists(order.file)) {
    throw std::runtime_error(order.file.string() + " is there already: give another name, or move that file away");
  }
  std::vector<std::string> missing;
  try {
    db::back_up(from, order.file);
    if (order.policy) missing = db::copy_lists(from, order.file);
  } catch (const std::exception& error) {
    complain(error.what());
    return kExitNo;
  }
  for (const std::string& file : missing)
    complain("the list file " + file + " is not in " + (from.parent_path() / "lists").string() +
             ": import its list again");
  const Json body = {{"database", from.string()}, {"file", order.file.string()}, {"bytes", fs::file_size(order.file)}};
  print_body(one_line(body), invocation.json);
  return kExitYes;
}

int db_verify_verb(const Invocation& invocation) {
  bool any = false, good = true;
  Json rows = Json::array();
  for (const NamedFile& database : databases(load_config_or_defaults(invocation))) {
    std::error_code failure;
    const bool there = fs::exists(database.file, failure);
    const std::vector<std::string> problems = there ? db::verify(database.file) : std::vector<std::string>();
    any = any || there;
    good = good && problems.empty();
    rows.push_back({{"database", database.file.string()},
                    {"state", !there             ? "missing"
                              : problems.empty() ? "ok"
                                                 : "broken"},
                    {"problems", problems}});
  }
  const Json body = {{"state", any && good ? "ok" : any ? "broken" : "missing"}, {"databases", std::move(rows)}};
  print_body(one_line(body), invocation.json);
  return any && good ? kExitYes : kExitNo;
}

}  // namespace gatehouse
