// `gatehouse policy explain`: one question to the policy, answered step by step. A verb as in invocation.hpp; main
// thread.
#pragma once

#include "gateway/cli/invocation.hpp"

#include <filesystem>
#include <string>

namespace gatehouse {

struct ExplainArguments {
  std::string transport;                           ///< tcp, udp, or a protocol number
  std::string destination;                         ///< "198.51.100.4:53", "[2001:db8::1]:53"; without a port: 0
  std::string plugin, listener, source, identity;  ///< of the client; "" = unknown
  std::string domain;                              ///< in any script; "" = none is known
  std::filesystem::path database;                  ///< "" = the gateway's
  std::string at;                                  ///< when: see parse_time(); "" = now
  bool resolver = false, peer = false;
};

/// Each step on the way to the verdict, the row that decides, the limits that apply, and the rows that are not in force
/// and might have mattered; judged with the plugin's allow_local_destinations and the gateway's own listeners, as
/// configured. Also what is left of the limits in the running gateway, unless another database or time is asked for.
/// 0 = allow, 1 = deny.
[[nodiscard]] int policy_explain_verb(const Invocation& invocation, const ExplainArguments& arguments);

}  // namespace gatehouse
