#include "plugins/geneve-relay/client/probe_request.hpp"

#include "plugins/geneve-relay/client/round_trips.hpp"

#include <charconv>
#include <stdexcept>
#include <string>

namespace gatehouse::geneve_relay {
namespace {

[[noreturn]] void wrong_use(const std::string& what) { throw std::invalid_argument(what); }

unsigned number_in(std::string_view option, std::string_view text, unsigned least, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most)
    wrong_use(std::string(option) + " takes a number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

void take_own_word(ProbeRequest& out, std::string_view word, std::string_view value) {
  if (word == "--server") {
    const auto server = Endpoint::parse(value);
    if (!server || server->port == 0) wrong_use("--server takes an address with a port, such as 192.0.2.1:7600");
    out.server = *server;
  } else if (word == "--form") {
    if (value != "1" && value != "current") wrong_use("--form takes 1, the protocol as it was first, or current");
    out.form = value == "1" ? WireForm::first : WireForm::current;
  } else if (word == "--count") {
    out.count = number_in(word, value, 1, 10000);
  } else if (word == "--size") {
    out.least_size = out.most_size = number_in(word, value, kLeastDataSize, kMostDataSize);
  } else if (word == "--timeout-ms") {
    out.timeout = std::chrono::milliseconds(number_in(word, value, 1, 600000));
  } else {
    wrong_use("`" + std::string(word) + "` is no option of this probe");
  }
}

}  // namespace

ProbeRequest read_probe_request(const std::vector<std::string_view>& arguments) {
  ProbeRequest out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (!word.starts_with("--")) {
      if (!out.api.address.empty()) wrong_use("`" + std::string(word) + "` is one word too many");
      out.api.address = word;
    } else if (take_client_word(out.api, arguments, i)) {
      --i;
    } else {
      if (i + 1 == arguments.size()) wrong_use(std::string(word) + " needs a value");
      take_own_word(out, word, arguments[++i]);
    }
  }
  if (out.api.address.empty()) wrong_use("the address of the relay's API is missing: what is in its listen_api");
  return out;
}

}  // namespace gatehouse::geneve_relay
