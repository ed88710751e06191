// The plugin's side of the border: write one class over Plugin, and define
//
//   extern "C" [[gnu::visibility("default")]] const gh_manifest gatehouse_plugin =
//       gatehouse::make_manifest<MyPlugin>({.id = "my-protocol", ...});
//
// Exceptions stop here: each becomes a status with its message. See lane_plugin.hpp for the usual shape.
#pragma once

#include <gatehouse/plugin/host.hpp>
#include <gatehouse/plugin/options.hpp>

#include <algorithm>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace gatehouse {

/// What reconfigure() throws when the change needs a restart.
struct NeedsRestart : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What an instance is started with.
struct StartFacts {
  std::uint32_t lanes = 1;          ///< how many will run
  std::vector<Listener> listeners;  ///< of all lanes
};

/// One configured instance. Thread tags as in abi.h; whatever throws, throws std::exception with a whole sentence.
class Plugin {
 public:
  virtual ~Plugin() = default;
  /// [control] With `check_only`, validates without any effect.
  virtual void configure(const Options& options, bool check_only) = 0;
  /// [control] Lanes begin to run afterwards, perhaps much later. Also after a stop(), once every lane has returned:
  /// then they are to run again.
  virtual void start(const StartFacts& facts) = 0;
  /// [control] While lanes run. All or nothing.
  virtual void reconfigure(const Options& options) = 0;
  /// [control] While lanes run: the complete set, of all lanes, in place of the one before.
  virtual void listeners_changed(const std::vector<Listener>& listeners) = 0;
  /// [lane] Returns after stop().
  virtual void run_lane(gh_lane* lane) = 0;
  /// [any] These return at once; the lanes do the work.
  virtual void wake(std::uint32_t lane, std::uint32_t reasons) = 0;
  /// [any] No new clients; those there are may stay until then.
  virtual void drain(SteadyTime deadline) = 0;
  /// [any] Clients that are still served.
  [[nodiscard]] virtual std::uint64_t pending() = 0;
  /// [any] Every lane returns within a second.
  virtual void stop() = 0;
};

/// Runs `call`, turns what it throws into a status, and leaves the message in `why` (which may be null).
template <class Call>
gh_status guarded(gh_message* why, Call&& call) noexcept {
  const auto leave = [why](std::string_view text) {
    if (why != nullptr) why->size = text.copy(why->text, why->capacity);
  };
  try {
    call();
    return GH_OK;
  } catch (const NeedsRestart& needs) {
    leave(needs.what());
    return GH_E_UNSUPPORTED;
  } catch (const std::invalid_argument& error) {
    leave(error.what());
    return GH_E_INVALID;
  } catch (const std::exception& error) {
    leave(error.what());
    return GH_E_FAILED;
  } catch (...) {
    leave("an exception of unknown type");
    return GH_E_FAILED;
  }
}

namespace border {

inline Plugin& self(gh_instance* instance) noexcept { return *reinterpret_cast<Plugin*>(instance); }

template <class Concrete>
gh_status create(const gh_host* host, gh_bytes name, gh_instance** out, gh_message* why) noexcept {
  return guarded(why, [&] {
    std::unique_ptr<Plugin> plugin = std::make_unique<Concrete>(Host(host, from_border(name)));
    *out = reinterpret_cast<gh_instance*>(plugin.release());
  });
}
inline void destroy(gh_instance* instance) noexcept { delete &self(instance); }
inline gh_status configure(gh_instance* instance, gh_bytes options, std::uint32_t flags, gh_message* why) noexcept {
  return guarded(why,
                 [&] { self(instance).configure(Options(from_border(options)), (flags & GH_CONFIGURE_CHECK) != 0); });
}
inline gh_status start(gh_instance* instance, const gh_start* start, gh_message* why) noexcept {
  return guarded(why, [&] {
    self(instance).start({start->lanes, from_border(start->listeners, start->listener_count)});
  });
}
inline gh_status reconfigure(gh_instance* instance, gh_bytes options, gh_message* why) noexcept {
  return guarded(why, [&] { self(instance).reconfigure(Options(from_border(options))); });
}
inline gh_status listeners_changed(gh_instance* instance, const gh_listener* listeners, std::size_t count,
                                   gh_message* why) noexcept {
  return guarded(why, [&] { self(instance).listeners_changed(from_border(listeners, count)); });
}
inline gh_status run_lane(gh_instance* instance, gh_lane* lane, gh_message* why) noexcept {
  return guarded(why, [&] { self(instance).run_lane(lane); });
}
inline void wake(gh_instance* instance, std::uint32_t lane, std::uint32_t reasons) noexcept {
  guarded(nullptr, [&] { self(instance).wake(lane, reasons); });
}
inline void drain(gh_instance* instance, std::uint64_t deadline_ns) noexcept {
  guarded(nullptr, [&] { self(instance).drain(SteadyTime(Nanoseconds(deadline_ns))); });
}
inline std::uint64_t pending(gh_instance* instance) noexcept {
  std::uint64_t count = 0;
  guarded(nullptr, [&] { count = self(instance).pending(); });
  return count;
}
inline void stop(gh_instance* instance) noexcept {
  guarded(nullptr, [&] { self(instance).stop(); });
}

/// What the class offers: `static const void* offer(std::string_view id)`, where it has one.
template <class Concrete>
const void* get(gh_instance*, const char* id) noexcept {
  if constexpr (requires { Concrete::offer(std::string_view()); }) return Concrete::offer(id);
  return nullptr;
}

template <class Concrete>
inline constexpr gh_plugin_ops kOps = {.struct_size = sizeof(gh_plugin_ops),
                                       .reserved = 0,
                                       .create = create<Concrete>,
                                       .destroy = destroy,
                                       .configure = configure,
                                       .start = start,
                                       .reconfigure = reconfigure,
                                       .listeners_changed = listeners_changed,
                                       .run_lane = run_lane,
                                       .wake = wake,
                                       .drain = drain,
                                       .pending = pending,
                                       .stop = stop,
                                       .get = get<Concrete>};

}  // namespace border

/// Which listeners a role takes.
enum class RoleKind : std::uint32_t {
  streams = GH_ROLE_STREAM,                 ///< TCP and Unix ones
  datagrams = GH_ROLE_DATAGRAM,             ///< UDP ones
  both = GH_ROLE_STREAM | GH_ROLE_DATAGRAM  ///< any
};

/// How a role's streams begin. Whoever promises something here has its streams from StreamListeners: the gateway leaves
/// TLS and credentials to them.
enum class Openings : std::uint32_t {
  none = 0,                                ///< a listener that asks for TLS, `auth`, an opening or a proxy is refused
  configured = GH_ROLE_OPENINGS,           ///< as each listener is configured
  http = GH_ROLE_OPENINGS | GH_ROLE_HTTP,  ///< the same, and always with an HTTP opening
  /// As configured, and the protocol itself has a place for a token. Where a listener takes tokens and has no HTTP
  /// opening, a client that has shown nothing else arrives without an identity: the plugin asks for its token, and lets
  /// nobody in before (Identities::find_token).
  own_token = GH_ROLE_OPENINGS | GH_ROLE_TOKEN
};

// What a manifest is made of, by names that need no look at the border.
using Role = gh_listener_role;                  ///< of make_role()
using Manifest = gh_manifest;                   ///< of make_manifest()
using Probe = gh_probe;                         ///< of make_probe()
using SessionDescriber = gh_sessions_describe;  ///< of make_describer()

/// A role that listeners can have in the plugin. @param name  the configuration key
constexpr Role make_role(const char* name, RoleKind kind, bool required, Openings openings = Openings::none) noexcept {
  const std::uint32_t kinds = static_cast<std::uint32_t>(kind) | static_cast<std::uint32_t>(openings);
  return {sizeof(gh_listener_role), kinds, name, required ? 1U : 0U, 0};
}

/// A role of streams that is there for this machine unless the configuration says otherwise: without its key it has one
/// listener, a Unix socket with the mode 0660 in the gateway's runtime folder, and with `[]` none. Its file is
/// PLUGIN-api.sock for a role `listen_api`. @param name  the configuration key
constexpr Role make_local_role(const char* name, Openings openings = Openings::none) noexcept {
  Role out = make_role(name, RoleKind::streams, false, openings);
  out.kinds |= GH_ROLE_LOCAL;
  return out;
}

/// What a probe prints: one JSON object.
using PrintJson = std::function<void(std::string_view json)>;
/// What `gatehouse probe NAME` runs: a small real client, as `void run(const std::vector<std::string_view>& arguments,
/// const PrintJson& print)`, on a thread of the command line. It throws std::invalid_argument for wrong arguments and
/// another std::exception where the frontend does not work, each with a whole sentence.
/// @param usage  "HOST:PORT [--dns NAME]"; must live as long as the program
template <auto kRun>
constexpr Probe make_probe(const char* usage) noexcept {
  return {sizeof(gh_probe), 0, usage,
          [](const gh_bytes* arguments, std::size_t count, void (*print)(void*, gh_bytes), void* context,
             gh_message* why) noexcept -> gh_status {
            return guarded(why, [&] {
              std::vector<std::string_view> words;
              for (const gh_bytes& argument : std::span(arguments, count)) words.push_back(from_border(argument));
              kRun(words, [print, context](std::string_view json) { print(context, to_border(json)); });
            });
          }};
}

/// What a plugin says about its sessions' state words (Session::set_state), as `std::string describe(std::uint64_t
/// first, std::uint64_t second)`.
/// @param count_names  of what Session::set_count() sets; must live as long as the program
template <auto kDescribe>
constexpr SessionDescriber make_describer(std::span<const gh_bytes> count_names = {}) noexcept {
  return {sizeof(gh_sessions_describe), 0,
          [](const std::uint64_t state[2], gh_message* out) noexcept {
            guarded(nullptr, [&] {
              const std::string text = kDescribe(state[0], state[1]);
              out->size = text.copy(out->text, out->capacity);
            });
          },
          count_names.data(), count_names.size()};
}

// The ids of what a plugin may offer, for its `static const void* offer(std::string_view id)`, which is called on any
// thread and gives a constant, or null for every other id.
inline constexpr std::string_view kProbeOffer = GH_PROBE_ID;                 ///< of a Probe
inline constexpr std::string_view kDescribeOffer = GH_SESSIONS_DESCRIBE_ID;  ///< of a SessionDescriber

/// What an author says about a plugin; every pointer must live as long as the program.
struct PluginFacts {
  const char* id;                                        ///< letters, digits and '-'
  const char* version;                                   ///< "1.2.3"
  const char* summary;                                   ///< one sentence
  const char* license = "Apache-2.0";                    ///< SPDX
  const char* options_schema = R"({"properties": {}})";  ///< gh_manifest.options_schema
  std::span<const Role> roles;                           ///< what listeners are for
};

/// The manifest of a plugin whose instances are `Concrete`: a Plugin that is made of a Host, and may have an `offer`.
/// Exceptions of its functions become statuses, their words the message: std::invalid_argument GH_E_INVALID,
/// NeedsRestart GH_E_UNSUPPORTED, all others GH_E_FAILED.
template <class Concrete>
constexpr Manifest make_manifest(const PluginFacts& facts) noexcept {
  return {.magic = GH_MAGIC,
          .struct_size = sizeof(gh_manifest),
          .abi_major = GH_ABI_MAJOR,
          .abi_minor = GH_ABI_MINOR,
          .reserved = 0,
          .id = facts.id,
          .version = facts.version,
          .summary = facts.summary,
          .license = facts.license,
          .build = __VERSION__,
          .options_schema = facts.options_schema,
          .requires_ids = kHostInterfaces,
          .roles = facts.roles.data(),
          .role_count = facts.roles.size(),
          .ops = &border::kOps<Concrete>};
}

}  // namespace gatehouse
