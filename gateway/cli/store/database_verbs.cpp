#include "gateway/cli/store/database_verbs.hpp"

#include <gatehouse/base/own_path.hpp>

#include "db/file/paths.hpp"
#include "db/lists/list_copy.hpp"
#include "db/store/state_reader.hpp"
#include "gateway/cli/render.hpp"

#include <nlohmann/json.hpp>

#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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

int db_backup_verb(const Invocation& invocation, const BackupArguments& arguments) {
  const std::string wanted = arguments.policy ? "policy" : arguments.secrets ? "secrets" : "state";
  fs::path from;
  for (const NamedFile& database : databases(load_config_or_defaults(invocation))) {
    if (database.name == wanted) from = database.file;
  }
  if (from.empty()) throw std::runtime_error("the store is memory:, which has no file to copy");
  if (fs::exists(arguments.file)) {
    throw std::runtime_error(arguments.file.string() + " is there already: give another name, or move that file away");
  }
  if (arguments.secrets) {  // whoever may write there puts another file in the place of the half of one
    const std::string why = why_not_own(arguments.file);
    if (!why.empty())
      throw std::runtime_error("secrets are copied to a folder of your own only, so choose another one: " + why);
  }
  std::vector<std::string> missing;
  try {
    db::back_up(from, arguments.file);
    if (arguments.policy) missing = db::copy_lists(from, arguments.file);
  } catch (const std::exception& error) {
    complain(invocation, error.what());
    return kExitNo;
  }
  for (const std::string& file : missing)
    complain(invocation, "the list file " + file + " is not in " + (from.parent_path() / "lists").string() +
                             ": import its list again");
  const Json body = {
      {"database", from.string()}, {"file", arguments.file.string()}, {"bytes", fs::file_size(arguments.file)}};
  print_body(invocation, one_line(body));
  return kExitYes;
}

int db_verify_verb(const Invocation& invocation, const NoArguments&) {
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
  print_body(invocation, one_line(body));
  return any && good ? kExitYes : kExitNo;
}

}  // namespace gatehouse
