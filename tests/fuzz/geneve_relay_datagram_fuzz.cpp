// Any bytes as a datagram on the relay's port: its header, envelope and message are inside it and can be written again.
// What no fuzzer can seal is tried behind the box, too: the bytes as an opened message.
#include "plugins/geneve-relay/relay/datagram.hpp"
#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

namespace {

using namespace gatehouse;
using namespace gatehouse::geneve_relay;

void check_datagram(Bytes in) {
  const auto header = relay_header(in);
  if (!header) return require(header.error() <= Drop::no_geneve);
  std::array<std::byte, kGeneveHeaderSize> written;
  write_geneve_header(written, *header);
  require(read_geneve_header(written) == *header && header->version == 0 && header->vni <= kLargestVni);
  const auto envelope = control_envelope(*header, in);
  if (!envelope) return;
  require(envelope->box.data() + envelope->box.size() == in.data() + in.size());
  require(envelope->nonce.size() == kDiscoNonceSize &&
          DiscoKey::parse(envelope->sender.to_string()) == envelope->sender);
  std::array<std::byte, 256> room;
  static const SharedKey kShared =
      SharedKey::make(DiscoSecret(SecretBytes().bytes()).public_key(), DiscoSecret(SecretBytes().bytes())).value();
  require(!open_envelope(*envelope, kShared, room).has_value());
}

/// What was read of `in` is read again from what we write for it.
template <class Read, class Write>
void check_message(Bytes in, Read read, Write write) {
  const auto message = read(in);
  if (!message) return;
  std::array<std::byte, kLargestEndpointMessage> wire;
  const std::size_t size = write(wire, *message);
  const auto again = read(Bytes(wire).first(size));
  require(again.has_value() && *again == *message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes in = fuzz_input(data, size);
  check_datagram(in);
  check_message(in, read_bind_message, write_bind_message);
  check_message(in, read_allocation_request, write_allocation_request);
  check_message(in, read_allocation_response, write_allocation_response);
  check_message(in, read_call_me_maybe_via, write_call_me_maybe_via);
  return 0;
}
