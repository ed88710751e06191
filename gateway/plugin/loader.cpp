#include "gateway/plugin/loader.hpp"

#include <gatehouse/base/unique_fd.hpp>
#include <gatehouse/plugin/border.hpp>

#include "gateway/base/refusal.hpp"
#include "gateway/plugin/call_thread.hpp"
#include "gateway/plugin/default_listeners.hpp"
#include "gateway/plugin/elf_check.hpp"
#include "gateway/plugin/plugin_message.hpp"

#include <boost/dll/shared_library.hpp>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <thread>

namespace gatehouse {
namespace {

namespace dll = boost::dll;
namespace fs = std::filesystem;

constexpr Nanoseconds kOfferTime = std::chrono::seconds(5);  // for `get`, which answers at once

/// Boost.DLL unmaps with the last shared_library; this keeps the code where it is.
void pin_code(const fs::path& copy) {
  if (dlopen(copy.c_str(), RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE) == nullptr) {
    throw Refusal("cannot keep " + copy.string() + " loaded: " + dlerror());
  }
}

/// Before dlopen, which maps whatever the file says that it has. The copy is ours alone: it stays as long as it is.
void require_whole(const fs::path& copy, const std::string& name) {
  const UniqueFd fd(open(copy.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (!fd || fstat(fd.get(), &about) != 0) throw Refusal("cannot read " + copy.string() + ": " + std::strerror(errno));
  const auto size = static_cast<std::size_t>(about.st_size);
  void* const mapped = size == 0 ? MAP_FAILED : mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (size != 0 && mapped == MAP_FAILED) throw Refusal("cannot read " + copy.string() + ": " + std::strerror(errno));
  const std::string why = why_not_loadable(size == 0 ? Bytes() : Bytes(static_cast<const std::byte*>(mapped), size));
  if (size != 0) munmap(mapped, size);
  if (!why.empty()) throw Refusal(name + why);
}

/// What dlopen said; Boost.DLL's own code only says that it failed.
std::string load_failure() {
  const char* words = dlerror();
  return words == nullptr ? "dlopen failed" : words;
}

std::string version(unsigned major, unsigned minor) { return std::to_string(major) + "." + std::to_string(minor); }

void require_manifest(const gh_manifest& manifest, const std::string& name) {
  if (manifest.magic != GH_MAGIC) {
    throw Refusal(name + " exports `" GH_MANIFEST_SYMBOL "`, but that is no plugin manifest: build it with the SDK");
  }
  if (manifest.struct_size < GH_SIZE_1_0(gh_manifest)) {
    throw Refusal(name + " has a manifest of " + std::to_string(manifest.struct_size) + " bytes where ABI " +
                  version(GH_ABI_MAJOR, 0) + " has " + std::to_string(GH_SIZE_1_0(gh_manifest)) +
                  ": build it with this gateway's SDK");
  }
  if (manifest.abi_major != GH_ABI_MAJOR) {
    throw Refusal(name + " is built for plugin ABI " + version(manifest.abi_major, manifest.abi_minor) +
                  ", this gateway has ABI " + version(GH_ABI_MAJOR, GH_ABI_MINOR) +
                  ": install the plugin's build for ABI " + std::to_string(GH_ABI_MAJOR));
  }
  if (manifest.abi_minor > GH_ABI_MINOR) {
    throw Refusal(name + " is built for plugin ABI " + version(manifest.abi_major, manifest.abi_minor) +
                  ", which is newer than this gateway's " + version(GH_ABI_MAJOR, GH_ABI_MINOR) +
                  ": upgrade the gateway, or build the plugin with this gateway's SDK");
  }
}

void require_interfaces(const gh_manifest& manifest, const std::vector<std::string_view>& offered,
                        const std::string& name) {
  if (manifest.requires_ids == nullptr) return;
  for (const char* const* id = manifest.requires_ids; *id != nullptr; ++id) {
    if (std::find(offered.begin(), offered.end(), std::string_view(*id)) == offered.end()) {
      throw Refusal(name + " needs the interface " + *id +
                    ", which this gateway does not offer: upgrade the gateway or use an older build of the plugin");
    }
  }
}

/// Everything that the host reads without asking again.
void require_contents(const gh_manifest& manifest, const std::string& name) {
  const gh_plugin_ops* ops = manifest.ops;
  const bool has_roles = manifest.role_count == 0 ||
                         (manifest.roles != nullptr && manifest.roles->struct_size >= GH_SIZE_1_0(gh_listener_role));
  const bool complete = manifest.id != nullptr && manifest.version != nullptr && manifest.summary != nullptr &&
                        manifest.options_schema != nullptr && has_roles && ops != nullptr &&
                        ops->struct_size >= GH_SIZE_1_0(gh_plugin_ops) && ops->create != nullptr &&
                        ops->destroy != nullptr && ops->configure != nullptr && ops->start != nullptr &&
                        ops->reconfigure != nullptr && ops->listeners_changed != nullptr && ops->run_lane != nullptr &&
                        ops->wake != nullptr && ops->drain != nullptr && ops->pending != nullptr &&
                        ops->stop != nullptr && ops->get != nullptr;
  if (!complete) {
    throw Refusal(name + " has an incomplete manifest: each text and each function must be set, `get` too");
  }
}

/// Roles stand as far apart as the plugin's header says.
const gh_listener_role& role_of(const gh_manifest& manifest, std::size_t index) noexcept {
  return *GH_NEXT(gh_listener_role, manifest.roles, index);
}

std::string role_names(const gh_manifest& manifest) {
  std::string names;
  for (std::size_t i = 0; i < manifest.role_count; ++i) {
    if (i > 0) names += ", ";
    names += role_of(manifest, i).name;
  }
  return names.empty() ? "none" : names;
}

/// What an address asks for that its role cannot do, or does only with something else.
/// @return "" or how the sentence goes on
std::string why_not_role(const ListenAddress& address, std::uint32_t kinds) {
  const bool datagram = address.kind == ListenAddress::Kind::udp;
  if ((kinds & (datagram ? GH_ROLE_DATAGRAM : GH_ROLE_STREAM)) == 0)
    return datagram ? "takes streams, not datagrams: write an address without `udp:`"
                    : "takes datagrams, not streams: write the address as `udp:ADDRESS:PORT`";
  const char* const asks = address.tls                                                  ? "TLS"
                           : address.auth.any()                                         ? "auth"
                           : address.http_opening || !address.origins.empty()           ? "an opening"
                           : address.proxy_protocol || !address.trusted_proxies.empty() ? "proxies"
                                                                                        : nullptr;
  if (asks != nullptr && (kinds & GH_ROLE_OPENINGS) == 0)
    return "knows nothing of " + std::string(asks) + ": take that out of `" + address.text +
           "`, or build the plugin with this gateway's SDK";
  if (address.auth.token && !address.http_opening && (kinds & GH_ROLE_TOKEN) == 0)
    return "has no place for a token in its own protocol: write opening = \"http\" beside auth of `" + address.text +
           "`, or another auth";
  if (!address.trusted_proxies.empty() && !address.proxy_protocol && !address.http_opening)
    return "cannot hear from trusted_proxies whose stream it is: write proxy_protocol = true beside them, or opening = "
           "\"http\" for their X-Forwarded-For";
  if (!address.origins.empty() && !address.http_opening)
    return "has no place for origins in its own protocol: write opening = \"http\" beside them, in which browsers say "
           "whose page asks";
  return "";
}

void check_address(ListenAddress& address, const gh_listener_role& role, const std::string& plugin,
                   std::vector<ConfigProblem>& problems) {
  if ((role.kinds & GH_ROLE_HTTP) != 0 && address.kind != ListenAddress::Kind::udp) address.http_opening = true;
  if (const std::string why = why_not_role(address, role.kinds); !why.empty())
    problems.push_back({address.place, "`" + std::string(role.name) + "` of the plugin " + plugin + " " + why});
}

/// Null where the plugin does not offer it, or less than 1.0 has.
template <class Table>
const Table* offer_of(const gh_manifest& manifest, const char* id, std::size_t least) {
  const auto* const table = static_cast<const Table*>(manifest.ops->get(nullptr, id));
  return table != nullptr && table->struct_size >= least ? table : nullptr;
}

/// Threads in a `get` that has not returned, by the SHA-256 of its file. Stays at the end of the process: so do they.
std::map<std::string, std::unique_ptr<CallThread>>& stuck_offers() {
  static auto* const threads = new std::map<std::string, std::unique_ptr<CallThread>>;
  return *threads;
}

/// A reload with the same file costs no further thread. @throws Refusal
void refuse_if_stuck(const LoadedPlugin& loaded) {
  const auto stuck = stuck_offers().find(loaded.file.sha256);
  if (stuck == stuck_offers().end()) return;
  if (!stuck->second->is_idle()) {
    throw Refusal("`get` of the plugin " + std::string(loaded.manifest->id) +
                  " has not returned since it was loaded before: install another build of it, and restart the gateway "
                  "to be rid of that call");
  }
  stuck_offers().erase(stuck);
}

/// Asks for what the plugin offers without an instance, on a thread of its own: one that throws, ends its thread or
/// does not return is refused. @throws Refusal
void ask_offers(LoadedPlugin& loaded) {
  refuse_if_stuck(loaded);
  struct Offers {
    const gh_probe* probe = nullptr;
    const gh_sessions_describe* describer = nullptr;
  };
  const gh_manifest& manifest = *loaded.manifest;
  const auto offers = std::make_shared<Offers>();
  auto thread = std::make_unique<CallThread>(thread_name(manifest.id, "-g"), manifest.id,
                                             std::make_shared<PluginTimeout>(kOfferTime), nullptr);
  const auto call = thread->ask("get", [&manifest, offers]() -> Answer {
    offers->probe = offer_of<gh_probe>(manifest, GH_PROBE_ID, GH_SIZE_1_0(gh_probe));
    offers->describer =
        offer_of<gh_sessions_describe>(manifest, GH_SESSIONS_DESCRIBE_ID, GH_SIZE_1_0(gh_sessions_describe));
    return {};
  });
  while (!call->is_over()) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    static_cast<void>(thread->finds_hung(steady_now()));
  }
  if (thread->hung()) stuck_offers()[loaded.file.sha256] = std::move(thread);
  if (call->refusal()) throw Refusal(*call->refusal());
  loaded.probe = offers->probe;
  loaded.describer = offers->describer;
}

}  // namespace

unsigned abandoned_offers() noexcept {
  const auto& all = stuck_offers();
  return static_cast<unsigned>(
      std::count_if(all.begin(), all.end(), [](const auto& one) { return !one.second->is_idle(); }));
}

const gh_listener_role& LoadedPlugin::role(std::size_t index) const noexcept { return role_of(*manifest, index); }

const gh_listener_role* LoadedPlugin::find_role(std::string_view role) const noexcept {
  for (std::size_t i = 0; i < manifest->role_count; ++i) {
    if (role == role_of(*manifest, i).name) return &role_of(*manifest, i);
  }
  return nullptr;
}

std::string LoadedPlugin::describe(const std::array<std::uint64_t, 2>& state) const {
  if (describer == nullptr) return {};
  PluginMessage out;
  describer->describe(state.data(), out.out());
  return out.text();
}

std::vector<std::string_view> LoadedPlugin::count_names() const {
  if (describer == nullptr || describer->count_names == nullptr) return {};
  std::vector<std::string_view> out;
  for (const gh_bytes& name :
       std::span(describer->count_names, std::min<std::size_t>(describer->count_names_size, GH_SESSION_COUNTS)))
    out.push_back(from_border(name));
  return out;
}

fs::path find_plugin(const Config& config, const std::string& name) {
  const auto configured = config.plugins.find(name);
  std::error_code failure;
  if (configured != config.plugins.end() && !configured->second.path.empty()) {
    const fs::path& path = configured->second.path;
    if (fs::exists(path, failure)) return path;
    throw Refusal("the file of the plugin " + name + " is missing: there is no " + path.string());
  }
  std::string looked;
  for (const fs::path& folder : config.plugin_dirs) {
    const fs::path path = folder / (name + ".so");
    if (fs::exists(path, failure)) return path;
    looked += looked.empty() ? folder.string() : ", " + folder.string();
  }
  throw Refusal("the file of the plugin " + name + " is missing: looked for " + name + ".so in " +
                (looked.empty() ? "no folder, since plugin_dirs is empty" : looked) + "; set `path` of [plugin." +
                name + "] or plugin_dirs of [gateway]");
}

std::vector<std::string> known_plugins(const Config& config) {
  std::set<std::string> names;
  for (const auto& [name, plugin] : config.plugins) names.insert(name);
  for (const fs::path& folder : config.plugin_dirs) {
    std::error_code failure;
    for (fs::directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure)) {
      if (at->path().extension() == ".so") names.insert(at->path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

fs::path plugin_copies(const Config& config) {
  struct statvfs about {};
  fs::path there = config.runtime_dir;
  while (statvfs(there.c_str(), &about) != 0 && there.has_relative_path()) there = there.parent_path();
  const bool noexec = (about.f_flag & ST_NOEXEC) != 0;
  return (noexec ? config.state_dir : config.runtime_dir) / "plugins";
}

LoadedPlugin load_plugin(const fs::path& file, const fs::path& copies, const std::vector<std::string_view>& offered) {
  return load_plugin(trust_plugin_file(file, copies), offered);
}

LoadedPlugin load_plugin(TrustedFile file, const std::vector<std::string_view>& offered) {
  LoadedPlugin loaded{std::move(file), nullptr};
  const std::string name = loaded.file.original.string();
  require_whole(loaded.file.copy, name);
  std::error_code failure;
  const dll::shared_library library(loaded.file.copy, failure, dll::load_mode::rtld_now | dll::load_mode::rtld_local);
  if (failure) throw Refusal("cannot load " + name + ": " + load_failure());
  if (!library.has(GH_MANIFEST_SYMBOL)) {
    throw Refusal(name + " is not a Gatehouse plugin: it does not export `" GH_MANIFEST_SYMBOL "`");
  }
  const auto& manifest = library.get<const gh_manifest>(GH_MANIFEST_SYMBOL);
  require_manifest(manifest, name);
  require_interfaces(manifest, offered, name);
  require_contents(manifest, name);
  pin_code(loaded.file.copy);
  loaded.manifest = &manifest;
  ask_offers(loaded);
  if (loaded.probe != nullptr && loaded.probe->run == nullptr) loaded.probe = nullptr;
  if (loaded.describer != nullptr && loaded.describer->describe == nullptr) loaded.describer = nullptr;
  return loaded;
}

AcceptedPlugin accept_configuration(const Config& config, const PluginConfig& plugin, const LoadedPlugin& loaded) {
  AcceptedPlugin accepted;
  accepted.config = plugin;
  accepted.problems = add_default_listeners(accepted.config, loaded, config.runtime_dir);
  const gh_manifest& manifest = *loaded.manifest;
  for (auto& [name, addresses] : accepted.config.listeners) {
    const gh_listener_role* role = loaded.find_role(name);
    if (role == nullptr) {
      accepted.problems.push_back({plugin.place, "the plugin " + plugin.name + " has no listener role `" + name +
                                                     "`; it has: " + role_names(manifest)});
      continue;
    }
    for (ListenAddress& address : addresses) check_address(address, *role, plugin.name, accepted.problems);
  }
  for (std::size_t i = 0; i < manifest.role_count; ++i) {
    const gh_listener_role& role = role_of(manifest, i);
    const auto configured = accepted.config.listeners.find(role.name);
    if (role.required != 0 && (configured == accepted.config.listeners.end() || configured->second.empty())) {
      accepted.problems.push_back({plugin.place, "the plugin " + plugin.name + " needs at least one address: set `" +
                                                     role.name + "` of [plugin." + plugin.name + "]"});
    }
  }
  OptionsReading reading = read_options(config, plugin.name, manifest.options_schema);
  accepted.options = std::move(reading.json);
  accepted.problems.insert(accepted.problems.end(), reading.problems.begin(), reading.problems.end());
  return accepted;
}

}  // namespace gatehouse
