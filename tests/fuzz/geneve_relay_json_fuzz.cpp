// Any bytes as the JSON of an allocation, asked for or answered, and as a duration: what was read is read again from
// what we write for it.
#include "plugins/geneve-relay/wire/duration_text.hpp"
#include "plugins/geneve-relay/wire/endpoint_json.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace gatehouse;
using namespace gatehouse::geneve_relay;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(fuzz_input(data, size));
  if (const auto clients = parse_json_request(text)) {
    require(text.size() <= kLargestJsonRequest && clients->keys[0] < clients->keys[1]);
    require(parse_json_request(write_json_request(*clients)).value() == *clients);
  }
  if (const auto endpoint = parse_json_endpoint(text)) {
    const std::string current = write_json_endpoint(*endpoint, WireForm::current);
    require(current.size() <= kLargestJsonEndpoint && parse_json_endpoint(current).value() == *endpoint);
    ServerEndpoint known = *endpoint;
    known.clients = {};  // the first form does not tell
    require(parse_json_endpoint(write_json_endpoint(*endpoint, WireForm::first)).value() == known);
  }
  if (const auto duration = parse_duration_text(text)) {
    require(duration->count() >= 0 && parse_duration_text(to_duration_text(*duration)).value() == *duration);
  }
  return 0;
}
