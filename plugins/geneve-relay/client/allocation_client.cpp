#include "plugins/geneve-relay/client/allocation_client.hpp"

#include "plugins/geneve-relay/client/endpoint_exchange.hpp"
#include "plugins/geneve-relay/wire/endpoint_json.hpp"

#include <gatehouse/net/client_stream.hpp>

#include <boost/system/system_error.hpp>

#include <vector>

namespace gatehouse::geneve_relay {
namespace {

/// What stands in Host (RFC 9110, 7.2).
std::string host_of(const ClientOptions& api) {
  const ClientAddress address = ClientAddress::parse(api.address);
  if (!address.path.empty()) return api.server_name.empty() ? "localhost" : api.server_name;
  const std::string name = api.server_name.empty() ? address.host : api.server_name;
  return (name.find(':') == name.npos ? name : '[' + name + ']') + ':' + address.port;
}

ClientStream connect(const ClientOptions& api, SteadyTime deadline) {
  try {
    return ClientStream(api, "geneve-relay", deadline);
  } catch (const boost::system::system_error& wrong) {
    throw std::runtime_error("the relay's API cannot be reached at " + api.address + ": " + wrong.code().message() +
                             ". Does the gateway run, and is that in its listen_api?");
  }
}

/// Until the answer is whole, or the stream ends.
EndpointAnswer read_answer(ClientStream& stream) {
  std::vector<std::byte> got;
  for (;;) {
    const std::size_t old = got.size();
    got.resize(old + 4096);
    const std::size_t more = stream.read_some(MutableBytes(got).subspan(old));
    got.resize(old + more);
    if (got.empty())
      throw std::runtime_error("the relay's API ended the stream without an answer; does it want --tls?");
    EndpointAnswer answer = read_endpoint_answer(got, more == 0);
    if (answer.state != EndpointAnswer::State::incomplete) return answer;
  }
}

[[noreturn]] void refuse(const EndpointAnswer& answer, bool has_token) {
  if (answer.status == 0)
    throw std::runtime_error("nobody speaks for a relay there: " + answer.text +
                             "; is it another port, or one that wants --tls?");
  std::string out = "the relay refused the allocation with " + std::to_string(answer.status) + ": " + answer.text;
  if (answer.status == 401 && !has_token) out += " Show a token with --token-file FILE.";
  throw AllocationRefused(out, answer.status, answer.retry_after);
}

}  // namespace

AllocationClient::AllocationClient(ClientOptions api) : api_(std::move(api)), token_file_(api_.token_file) {
  if (api_.has_opening() || !api_.path.empty())
    throw std::invalid_argument("--http, --websocket and --path are of stream listeners; the relay's API has none");
  api_.token_file.clear();  // its place is this request, not an opening
  check_client_options(api_);
}

ServerEndpoint AllocationClient::allocate(const DiscoPair& clients, WireForm form, SteadyTime deadline) const {
  const std::string token = token_file_.empty() ? "" : read_token_file(token_file_);
  ClientStream stream = connect(api_, deadline);
  EndpointAnswer answer;
  try {
    stream.write_all(bytes_of(write_endpoint_request(host_of(api_), token, clients, form)));
    answer = read_answer(stream);
  } catch (const ClientTimeout&) {
    throw std::runtime_error("the relay's API at " + api_.address +
                             " took the request and did not answer in time; does the API speak TLS, or the gateway "
                             "wait for its disk?");
  }
  if (answer.state != EndpointAnswer::State::endpoint) refuse(answer, !token.empty());
  const auto endpoint = parse_json_endpoint(answer.text);
  if (!endpoint) throw std::runtime_error("the relay's API answered 200 with what is no endpoint");
  const bool is_ours = endpoint->clients == DiscoPair() || endpoint->clients == clients;
  if (!is_ours) throw std::runtime_error("the relay's API answered with an endpoint of other clients");
  return *endpoint;
}

}  // namespace gatehouse::geneve_relay
