#include "plugins/geneve-relay/client/probe_request.hpp"

#include "plugins/geneve-relay/client/round_trips.hpp"

#include <stdexcept>
#include <string>

namespace gatehouse::geneve_relay {
namespace {

[[noreturn]] void wrong_use(const std::string& what) { throw std::invalid_argument(what); }

/// False: there is no such option.
bool take_own_word(ProbeRequest& out, std::string_view word, std::string_view value) {
  if (word == "--server") {
    const auto server = Endpoint::parse(value);
    if (!server || server->port == 0) wrong_use("--server takes an address with a port, such as 192.0.2.1:7600");
    out.server = *server;
  } else if (word == "--form") {
    if (value != "1" && value != "current") wrong_use("--form takes 1, the protocol as it was first, or current");
    out.form = value == "1" ? WireForm::first : WireForm::current;
  } else if (word == "--count") {
    out.count = read_number(word, value, 1, 10000);
  } else if (word == "--size") {
    out.least_size = out.most_size = read_number(word, value, kLeastDataSize, kMostDataSize);
  } else if (word == "--timeout-ms") {
    out.timeout = std::chrono::milliseconds(read_number(word, value, 1, 600000));
  } else {
    return false;
  }
  return true;
}

}  // namespace

ProbeRequest read_probe_request(const std::vector<std::string_view>& arguments) {
  ProbeRequest out;
  read_probe_words(out.api, arguments, [&out](auto word, auto value) { return take_own_word(out, word, value); });
  if (out.api.address.empty()) wrong_use("the address of the relay's API is missing: what is in its listen_api");
  return out;
}

}  // namespace gatehouse::geneve_relay
