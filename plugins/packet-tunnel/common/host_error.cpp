#include "plugins/packet-tunnel/common/host_error.hpp"

#include <cerrno>

namespace gatehouse::packet_tunnel {
namespace {

std::string sentence(const std::string& what, Error code, const std::string& said) {
  std::string out = "cannot " + what + ": " + code.message();
  if (!said.empty()) out += " (" + said + ")";
  if (code.category() != boost::system::system_category()) return out;
  if (code.value() == EPERM || code.value() == EACCES)
    out +=
        "; CAP_NET_ADMIN is missing: AmbientCapabilities=CAP_NET_ADMIN in a unit, --cap-add NET_ADMIN for a container";
  return out;
}

}  // namespace

HostError::HostError(const std::string& what, Error code, const std::string& said)
    : std::runtime_error(sentence(what, code, said)), code_(code) {}

HostError::HostError(const std::string& sentence) : std::runtime_error(sentence), code_(Errc::failed) {}

}  // namespace gatehouse::packet_tunnel
