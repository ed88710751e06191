#include "gateway/base/refusal.hpp"
#include "gateway/conformance/process_state.hpp"
#include "gateway/conformance/steps.hpp"
#include "gateway/services/host_services.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace gatehouse::conformance {
namespace {

bool consists_of(std::string_view text, std::string_view others) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [others](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || others.find(c) != std::string_view::npos;
  });
}

constexpr std::size_t kMostShown = 100;  // of a text that people are shown

std::string text_or_empty(const char* text) { return text == nullptr ? "" : text; }

class ManifestCheck {
 public:
  ManifestCheck(const LoadedPlugin& plugin, Notes& notes)
      : plugin_(plugin), manifest_(*plugin.manifest), notes_(notes) {}

  void run() {
    check_texts();
    for (std::size_t i = 0; i < manifest_.role_count; ++i) check_role(plugin_.role(i));
    if (manifest_.ops->get(nullptr, "gh.no-such-thing/1") != nullptr)
      bad("get() offers an interface that does not exist");
    check_offer(GH_PROBE_ID, plugin_.probe != nullptr);
    check_offer(GH_SESSIONS_DESCRIBE_ID, plugin_.describer != nullptr);
  }

 private:
  void bad(const std::string& seen) { notes_.found("bad_manifest", seen); }
  void bare(const std::string& seen) { notes_.found("bare_manifest", seen); }

  void check_texts() {
    const std::string id = text_or_empty(manifest_.id), version = text_or_empty(manifest_.version);
    if (!consists_of(id, "-")) bad("its id is `" + id + "`, where there may be letters, digits and '-'");
    if (std::count(version.begin(), version.end(), '.') != 2) bare("its version is `" + version + "`, not as 1.2.3");
    if (text_or_empty(manifest_.summary).empty()) bare("it has no summary");
    if (text_or_empty(manifest_.license).empty()) bare("it has no license");
  }

  void check_role(const gh_listener_role& role) {
    const std::string name = text_or_empty(role.name);
    if ((name != "listen" && !name.starts_with("listen_")) || !consists_of(name, "_"))
      bad("a listener's role is named `" + name + "`, where it should be as `listen` or `listen_api`");
    if (!roles_.insert(name).second) bad("two roles are named `" + name + '`');
    const std::string of_role = "the role `" + name + "` ";
    if ((role.kinds & (GH_ROLE_STREAM | GH_ROLE_DATAGRAM)) == 0) bad(of_role + "takes neither streams nor datagrams");
    if ((role.kinds & GH_ROLE_OPENINGS) != 0 && (role.kinds & GH_ROLE_STREAM) == 0)
      bad(of_role + "has openings but takes no streams");
    if ((role.kinds & GH_ROLE_HTTP) != 0 && (role.kinds & GH_ROLE_OPENINGS) == 0)
      bad(of_role + "has GH_ROLE_HTTP without GH_ROLE_OPENINGS");
    if ((role.kinds & GH_ROLE_LOCAL) != 0 && (role.kinds & GH_ROLE_STREAM) == 0)
      bad(of_role + "has GH_ROLE_LOCAL, which is a Unix socket, but takes no streams");
  }

  /// The loader takes what it can call; the rest is the author's mistake.
  void check_offer(const char* id, bool is_taken) {
    if (!is_taken && manifest_.ops->get(nullptr, id) != nullptr)
      bad(std::string("what get() gives for ") + id + " has too small a struct_size, or no function");
  }

  const LoadedPlugin& plugin_;
  const gh_manifest& manifest_;
  Notes& notes_;
  std::set<std::string> roles_;
};

/// `plugin` or a finding.
std::optional<LoadedPlugin> load(const Subject& subject, Notes& notes) {
  try {
    return load_plugin(subject.file, offered_interfaces());
  } catch (const Refusal& refusal) {
    const std::string words = refusal.what();
    notes.found(words.starts_with("cannot load") ? "load_failed" : "handshake", words);
    return std::nullopt;
  }
}

std::vector<std::string> optional_interfaces(const gh_manifest& manifest) {
  std::set<std::string> needed;
  for (const char* const* id = manifest.requires_ids; id != nullptr && *id != nullptr; ++id) needed.insert(*id);
  std::vector<std::string> out;
  for (const std::string_view id : offered_interfaces())
    if (!needed.contains(std::string(id))) out.emplace_back(id);
  return out;
}

}  // namespace

void check_handshake(const Subject& subject, Notes& notes) {
  notes.phase("it is loaded");
  const ProcessState before = process_state();
  const auto plugin = load(subject, notes);
  if (!plugin) return;
  const ProcessState after = process_state();
  if (after.threads > before.threads) notes.found("constructor_effect", "loading it begins threads");
  if (const std::string opened = new_descriptors(before, after); !opened.empty())
    notes.found("constructor_effect", "loading it opens " + opened);

  notes.phase("its manifest is read");
  ManifestCheck(*plugin, notes).run();
  const gh_manifest& manifest = *plugin->manifest;
  notes.fact("manifest", {{"id", text_or_empty(manifest.id).substr(0, kMostShown)},
                          {"version", text_or_empty(manifest.version).substr(0, kMostShown)},
                          {"abi_major", manifest.abi_major},
                          {"abi_minor", manifest.abi_minor}});
  notes.fact("optional", optional_interfaces(manifest));
}

}  // namespace gatehouse::conformance
