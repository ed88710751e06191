#include "gateway/cli/plugin/attach_verb.hpp"

#include "gateway/cli/plugin/stream_bridge.hpp"

#include <boost/system/system_error.hpp>

#include <cerrno>
#include <csignal>
#include <stdexcept>

namespace gatehouse {
namespace {

constexpr std::chrono::seconds kOpeningTime{10};  // from the connection to what the listener says

std::filesystem::path find_socket(const Invocation& invocation, const std::string& plugin) {
  const Config config = load_config(invocation);
  const auto configured = config.plugins.find(plugin);
  if (configured == config.plugins.end()) {
    std::vector<std::string> known;
    for (const auto& [name, one] : config.plugins) known.push_back(name);
    const std::string nearest = nearest_name(plugin, known);
    throw std::runtime_error("there is no [plugin." + plugin + "] in " + invocation.config.string() +
                             (nearest.empty() ? "" : "; did you mean `" + nearest + "`?"));
  }
  for (const auto& [role, addresses] : configured->second.listeners) {
    for (const ListenAddress& address : addresses) {
      if (address.kind == ListenAddress::Kind::unix_stream) return address.path;
    }
  }
  throw std::runtime_error("plugin " + plugin + " has no unix: listener to attach to; add \"unix:/run/gatehouse/" +
                           plugin + ".sock\" to `plugin." + plugin + ".listen`");
}

/// What to connect to, of what was given.
ClientOptions stream_of(const Invocation& invocation, const AttachArguments& arguments) {
  ClientOptions out = arguments.stream;
  if (!out.address.empty() && !arguments.socket.empty())
    throw std::invalid_argument("give either --socket or --address");
  if (out.address.empty()) {
    const bool is_given = !arguments.socket.empty();
    out.address = "unix:" + (is_given ? arguments.socket : find_socket(invocation, arguments.plugin)).string();
  }
  check_client_options(out);
  return out;
}

std::string why_not_connected(const Error& error) {
  switch (error.value()) {
    case ENOENT:
    case ECONNREFUSED: return "nobody listens there; is the gateway running, and the plugin enabled?";
    case EACCES: return "no permission; see `mode` and `group` of that listener";
    default: return error.message();
  }
}

}  // namespace

int attach_verb(const Invocation& invocation, const AttachArguments& arguments) {
  const ClientOptions options = stream_of(invocation, arguments);
  const std::string name = options.address.substr(options.address.starts_with("unix:") ? 5 : 0);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    ClientStream stream(options, arguments.plugin, steady_now() + kOpeningTime);
    stream.set_deadline(ClientStream::kNever);
    const std::string broken = bridge_streams(UniqueFd(STDIN_FILENO), UniqueFd(STDOUT_FILENO), std::move(stream));
    if (broken.empty()) return kExitYes;
    complain(invocation, broken);
  } catch (const boost::system::system_error& error) {
    complain(invocation, "cannot attach to " + name + ": " + why_not_connected(error.code()));
  } catch (const std::runtime_error& error) {
    complain(invocation, "cannot attach to " + name + ": " + error.what());
  }
  return kExitNo;
}

}  // namespace gatehouse
