#include "gateway/daemon/preflight.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/own_path.hpp>

#include "db/file/file_kind.hpp"
#include "db/file/open_to_read.hpp"
#include "db/file/paths.hpp"
#include "db/policy/policy_copy.hpp"
#include "db/policy/policy_database.hpp"
#include "gateway/base/refusal.hpp"
#include "gateway/config/control_socket.hpp"
#include "gateway/control/listening_socket.hpp"
#include "gateway/flow_log/append_file.hpp"
#include "gateway/plugin/listeners.hpp"
#include "gateway/plugin/loader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kTimeout{1000};

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

class Preflight {
 public:
  explicit Preflight(const Config& config) : config_(config) {}

  std::vector<ConfigProblem> run() {
    const bool has_state = look_at_folder(config_.state_dir);
    if (look_at_folder(config_.runtime_dir)) look_at_folder(plugin_copies(config_));
    look_at_control_socket();
    if (has_state) look_at_policy(config_.state_dir / "policy.db");
    look_at_store();
    if (!config_.flow_log.empty()) look_at_flow_log();
    look_at_addresses();
    return std::move(problems_);
  }

 private:
  /// Once, whatever several keys lead to.
  void add(std::string sentence) {
    const auto is_said = [&](const ConfigProblem& problem) { return problem.sentence == sentence; };
    if (std::none_of(problems_.begin(), problems_.end(), is_said)) problems_.push_back({{}, std::move(sentence)});
  }
  bool may(const fs::path& path, int mode, const char* what);
  bool look_at_folder(const fs::path& folder);
  void look_at_control_socket();
  void look_at_policy(const fs::path& named);
  void look_at_store();
  void look_at_database(const fs::path& database, const db::FileKind& kind);
  void look_at_flow_log();
  void look_at_addresses();

  const Config& config_;
  bool is_running_ = false;
  std::vector<ConfigProblem> problems_;
};

/// May the effective user do that? @param what  "be written", for the sentence
bool Preflight::may(const fs::path& path, int mode, const char* what) {
  if (::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0) return true;
  add(path.string() + " cannot " + what + " by this user, with the number " + std::to_string(::geteuid()) + " (" +
      last_system_error().message() + "): give it to the user that runs the gateway, or ask as that one");
  return false;
}

/// Of one that is missing, can it be made?
bool Preflight::look_at_folder(const fs::path& folder) {
  if (const std::string why = why_not_own(folder); !why.empty()) return add(why), false;
  fs::path there = fs::absolute(folder);
  while (!is_there(there) && there.has_relative_path()) there = there.parent_path();
  return may(there, W_OK | X_OK, "be written to");
}

void Preflight::look_at_control_socket() {
  try {
    is_running_ = is_served(control_socket(config_));
  } catch (const std::exception& error) {
    add(error.what());
  }
}

void Preflight::look_at_policy(const fs::path& named) {
  const fs::path policy = db::resolved(named), copy = db::last_good_path(named);
  const std::string then =
      is_there(copy) ? "; the gateway would go by the last good policy" : "; the gateway would deny everything";
  for (const fs::path& folder : {policy.parent_path(), db::lists_beside(policy)})
    if (const std::string why = why_not_own(folder); !why.empty()) return add(why);
  if (const std::string why = db::why_not_own_policy(named); !why.empty()) return add(why);
  if (!is_there(policy)) {
    if (is_there(copy))
      add(policy.string() + " is gone: put it back, or copy " + copy.string() + " to its place" + then);
    return;
  }
  try {
    std::int64_t version = 0;
    {
      db::Database database = db::open_to_read(policy, kTimeout);
      version = db::schema_version(database, db::policy_kind());
    }
    if (version != 0 && version != db::policy_kind().newest()) {  // a start brings it up to date
      if (!may(policy, R_OK | W_OK, "be brought up to date")) problems_.back().sentence += then;
      return;
    }
    static_cast<void>(db::PolicyDatabase(policy).load());
  } catch (const std::exception& error) {
    add(error.what() + then);
  }
}

void Preflight::look_at_store() {
  const fs::path named = config_.store.state_db();
  if (named.empty()) return;
  try {
    const fs::path state = db::resolved(named), secrets = db::secrets_beside(state);
    for (const fs::path& folder : {named.parent_path(), state.parent_path(), secrets.parent_path()}) {
      if (!look_at_folder(folder)) return;
    }
    if (const std::string why = db::why_not_own_store(named); !why.empty()) return add(why);
    look_at_database(state, db::state_kind());
    look_at_database(secrets, db::secrets_kind());
  } catch (const std::exception& error) {
    add(error.what());
  }
}

void Preflight::look_at_database(const fs::path& database, const db::FileKind& kind) {
  if (!is_there(database)) return;
  for (const char* const suffix : {"", "-wal", "-shm"}) {
    const fs::path file = database.string() + suffix;
    if (is_there(file) && !may(file, R_OK | W_OK, "be read and written")) return;
  }
  try {
    db::Database open = db::open_to_read(database, kTimeout);
    static_cast<void>(db::schema_version(open, kind));
    if (const std::string why = db::why_not_plain(open, kind); !why.empty()) add(database.string() + ": " + why);
  } catch (const db::SqliteError&) {  // a start sets it aside, or waits for whoever holds it
  }
}

void Preflight::look_at_flow_log() {
  const fs::path& file = config_.flow_log;
  if (!is_there(file)) {
    const std::string why = why_not_own(file, Groups::any);
    return why.empty() ? static_cast<void>(may(file.parent_path(), W_OK | X_OK, "be written to")) : add(why);
  }
  try {
    const AppendFile opened(file);
  } catch (const Refusal& refusal) {
    add(refusal.what());
  }
}

void Preflight::look_at_addresses() {
  if (!config_.metrics_listen.empty()) {
    try {
      require_tcp(Endpoint::parse(config_.metrics_listen).value(), is_running_);
    } catch (const std::exception& error) {
      add(error.what());
    }
  }
  const fs::path runtime_dir = (config_.runtime_dir / "").lexically_normal();
  for (const auto& [name, plugin] : config_.plugins) {
    if (!plugin.enabled) continue;
    for (const auto& [role, addresses] : plugin.listeners) {
      for (const ListenAddress& address : addresses) {
        const bool is_in_it = (address.path.parent_path() / "").lexically_normal() == runtime_dir;
        if (is_in_it && !is_there(config_.runtime_dir)) continue;  // is made
        try {
          require_bindable(address, name, role, is_running_);
        } catch (const Refusal& refusal) {
          problems_.push_back({address.place, refusal.what()});
        }
      }
    }
  }
}

}  // namespace

std::vector<ConfigProblem> preflight(const Config& config) { return Preflight(config).run(); }

}  // namespace gatehouse
