#include "plugins/packet-tunnel/client/run_client.hpp"

#include "plugins/packet-tunnel/client/client.hpp"
#include "plugins/packet-tunnel/client/command_line.hpp"

#include <unistd.h>
#include <csignal>

#include <cstdlib>
#include <iostream>

namespace gatehouse::packet_tunnel {
namespace {

void block_signals() noexcept {
  sigset_t ends;
  ::sigemptyset(&ends);
  for (const int one : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&ends, one);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

int unblock(const UnblockRequest& request) {
  Nft nft;
  remove_kill_switch(nft, request.device);
  try {  // a client that runs writes down by itself what there is
    const StateFile state(request.state_dir, request.device);
    HostChanges changes = state.load();
    changes.is_blocked = false;
    changes.number == 0 ? state.remove() : state.save(changes);
  } catch (const std::runtime_error&) {
  }
  return kExitYes;
}

}  // namespace

int run_client(int argc, const char* const* argv) {
  const auto asked = read_command_line(argc, argv, std::cout, std::cerr);
  if (const int* const code = std::get_if<int>(&asked)) return *code;
  block_signals();
  const auto* const settings = std::get_if<ClientSettings>(&asked);
  Console console(STDERR_FILENO, settings != nullptr && settings->verbose);
  try {
    if (settings == nullptr) return unblock(std::get<UnblockRequest>(asked));
    Client client(*settings, console);
    const int code = client.run();
    if (client.is_opening()) std::_Exit(code);  // all is undone; a resolver or a handshake may take long
    return code;
  } catch (const std::exception& problem) {
    console.say(problem.what());
    return kExitNo;
  }
}

}  // namespace gatehouse::packet_tunnel
