#include "plugins/geneve-relay/fast_path/refusal.hpp"

#include <gatehouse/base/error.hpp>

#include <cerrno>

namespace gatehouse::geneve_relay {
namespace {

constexpr const char* kCapabilities =
    "CAP_BPF and CAP_NET_ADMIN are missing (AmbientCapabilities=CAP_BPF CAP_NET_ADMIN in a unit, --cap-add BPF "
    "--cap-add "
    "NET_ADMIN for a container), or this is a user namespace, where the kernel gives them to nobody";

std::string reason(int error) { return Error(error, boost::system::system_category()).message(); }

}  // namespace

std::string load_refusal(int error, const std::string& verifier) {
  const std::string what = "cannot load the program into the kernel: " + reason(error);
  switch (error) {
    case EPERM:
    case EACCES:
      if (verifier.empty()) return what + "; " + kCapabilities;
      break;
    case ENOMEM: return what + "; the map is as large as most_endpoints has it: lower that, or raise the memory limit";
    case ENOSYS: return what + "; this kernel is built without CONFIG_BPF_SYSCALL";
    default: break;
  }
  return what + (verifier.empty() ? "" : " (" + verifier + ")") + "; it needs Linux 5.15 or newer";
}

std::string attach_refusal(const std::string& interface, int error, const std::optional<HoldingProgram>& holder) {
  switch (error) {
    case EPERM:
    case EACCES: return reason(error) + "; " + kCapabilities;
    case ENODEV: return "there is no interface " + interface;
    case EBUSY:
    case EEXIST: break;
    default: return reason(error);
  }
  if (!holder) return reason(error) + "; another XDP program is attached to it";
  const std::string named = std::to_string(holder->id) + (holder->name.empty() ? std::string() : ", " + holder->name);
  if (holder->name.starts_with("gh_relay"))
    return "another gateway relays there (program " + named + "): end that, or leave " + interface + " to it";
  return "another XDP program is attached to it (" + named + "): detach it (ip link set dev " + interface +
         " xdp off), or leave " + interface + " to user space";
}

std::string native_refusal(const std::string& interface, int error) {
  if (error == EOPNOTSUPP) return "the driver of " + interface + " has no native XDP";
  std::string out = "the driver of " + interface + " refuses native XDP: " + reason(error);
  if (error == ERANGE || error == EINVAL || error == EOVERFLOW || error == E2BIG)
    out += "; often the MTU is too large for it (3,498 bytes suit most drivers), or LRO is on";
  if (error == ENOMEM || error == ENOSPC || error == EBUSY) out += "; often it has too few queues left";
  return out;
}

}  // namespace gatehouse::geneve_relay
