#include "gateway/cli/plugin/attach_verb.hpp"

#include "gateway/cli/plugin/stream_bridge.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>

namespace gatehouse {
namespace {

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

UniqueFd connect_to(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string text = path.string();
  if (text.size() >= sizeof address.sun_path) throw std::runtime_error(text + " is too long for a Unix socket");
  text.copy(address.sun_path, text.size());
  UniqueFd out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (out && ::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) out.reset();
  return out;
}

}  // namespace

int attach_verb(const Invocation& invocation, const AttachArguments& arguments) {
  const std::filesystem::path path =
      arguments.socket.empty() ? find_socket(invocation, arguments.plugin) : arguments.socket;
  UniqueFd stream = connect_to(path);
  if (!stream) {
    const int error = errno;
    const std::string why = error == ENOENT || error == ECONNREFUSED
                                ? "nobody listens there; is the gateway running, and the plugin enabled?"
                            : error == EACCES ? "no permission; see `mode` and `group` of that listener"
                                              : last_system_error().message();
    complain(invocation, "cannot attach to " + path.string() + ": " + why);
    return kExitNo;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const Error error = bridge_streams(UniqueFd(STDIN_FILENO), UniqueFd(STDOUT_FILENO), std::move(stream));
  if (!error) return kExitYes;
  complain(invocation, "the connection to " + path.string() + " broke: " + error.message());
  return kExitNo;
}

}  // namespace gatehouse
