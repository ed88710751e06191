#include "plugins/geneve-relay/relay/drop.hpp"

#include <array>

namespace gatehouse::geneve_relay {
namespace {

struct Words {
  std::string_view name, sentence;
};

constexpr std::array<Words, kDrops> kWords = {{
    {"short_header", "shorter than a Geneve header"},
    {"geneve_version", "a Geneve version other than 0"},
    {"no_geneve", "no Geneve header"},
    {"unknown_vni", "no endpoint has this VNI"},
    {"control_protocol", "a control packet that is not disco"},
    {"short_envelope", "a control packet too short for a disco envelope"},
    {"envelope_magic", "a control packet that is no disco envelope"},
    {"unknown_key", "the sender's key is neither client's"},
    {"handshake_limit", "too many handshakes at a time"},
    {"box", "the box does not open: sealed for another relay or by another key, or changed under way"},
    {"long_message", "the message is larger than any of a client's"},
    {"short_message", "the message is too short for its type"},
    {"message_type", "the message is neither a Bind nor an Answer"},
    {"sealed_vni", "the VNI in the box is not the header's"},
    {"remote_key", "the remote key is not the other client's"},
    {"zero_generation", "the generation is 0"},
    {"no_handshake", "an Answer, and no handshake is in progress"},
    {"other_generation", "an Answer of another generation than the handshake in progress"},
    {"wrong_challenge", "the Answer's challenge is not the one for its source: the address changed, or it came late"},
    {"denied", "policy does not let a client be at this address"},
    {"not_bound", "data before both clients were bound"},
    {"unbound_source", "data from an address where neither client is bound"},
    {"rate", "data beyond the bytes a second that a traffic rule allows"},
    {"quota", "data beyond a traffic rule's quota"},
    {"other_lane", "came at another lane than the endpoint's, which has too much to do"},
    {"no_socket", "the listener that the other client is bound through is gone"},
    {"ended", "the endpoint was ended, as with the token that it was asked for with"},
}};

const Words& words_of(Drop drop) noexcept { return kWords[static_cast<std::size_t>(drop)]; }

}  // namespace

std::string_view to_text(Drop drop) noexcept { return words_of(drop).name; }
std::string_view describe(Drop drop) noexcept { return words_of(drop).sentence; }

}  // namespace gatehouse::geneve_relay
