// What the probe has seen, for programs and for people.
#pragma once

#include "plugins/geneve-relay/client/round_trips.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <array>
#include <string>

namespace gatehouse::geneve_relay {

/// How far the two clients have come, in the order of the steps.
enum class ProbeStep : std::uint8_t {
  challenge,  ///< waiting for the relay's answer to a Bind
  data,       ///< both have answered, and nothing passes
  done
};

struct ProbeSight {
  const ServerEndpoint& endpoint;
  WireForm form;
  Nanoseconds allocated_in;
  const std::array<ProbeClient, 2>& clients;
  const RoundTrips* trips;  ///< null before `data`
  unsigned sent;            ///< packets of trips
  ProbeStep reached;
};

/// One JSON object; times are milliseconds.
[[nodiscard]] std::string write_probe_json(const ProbeSight& sight);

/// Which step went unanswered, or what was wrong, and what to look at; "" = all is well.
[[nodiscard]] std::string fault_in(const ProbeSight& sight);

}  // namespace gatehouse::geneve_relay
