#include "plugins/geneve-relay/relay/datagram.hpp"

namespace gatehouse::geneve_relay {

OrDrop<GeneveHeader> relay_header(Bytes datagram) noexcept {
  const DatagramKind kind = kind_of(datagram);
  if (kind == DatagramKind::runt) return Drop::short_header;
  if (kind != DatagramKind::geneve) return Drop::no_geneve;
  const GeneveHeader header = read_geneve_header(datagram);
  if (header.version != 0) return Drop::geneve_version;
  return header;
}

OrDrop<DiscoEnvelope> control_envelope(const GeneveHeader& header, Bytes datagram) noexcept {
  if (header.protocol != kProtocolDisco) return Drop::control_protocol;
  if (datagram.size() < kGeneveHeaderSize) return Drop::short_header;
  const auto envelope = read_envelope(datagram.subspan(kGeneveHeaderSize));
  if (envelope) return *envelope;
  return envelope.error() == Errc::truncated ? Drop::short_envelope : Drop::envelope_magic;
}

}  // namespace gatehouse::geneve_relay
