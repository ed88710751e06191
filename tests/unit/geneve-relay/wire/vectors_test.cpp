// Every vector, read and written again.
#include "tests/unit/geneve-relay/vectors.hpp"
#include "plugins/geneve-relay/relay/datagram.hpp"
#include "plugins/geneve-relay/wire/bind_message.hpp"
#include "plugins/geneve-relay/wire/challenge.hpp"
#include "plugins/geneve-relay/wire/endpoint_message.hpp"

#include <gmock/gmock.h>

#include <set>

namespace gatehouse::geneve_relay {

void PrintTo(const DiscoKey& key, std::ostream* out) { *out << key.to_string(); }

namespace {

std::uint64_t number(const Json& value) {
  return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 16) : value.get<std::uint64_t>();
}

TEST(Vectors, AreOfKnownKindsAndAllThere) {
  std::size_t known = 0;
  for (const char* kind : {"geneve-header", "control", "mac", "disco-plaintext", "disco-sealed", "data", "stun"})
    known += vectors_of(kind).size();
  EXPECT_EQ(known, vector_file()["vectors"].size());
  EXPECT_EQ(known, 37U);
}

// ---- headers

class HeaderVector : public testing::TestWithParam<Json> {};

TEST_P(HeaderVector, IsReadAndWritten) {
  const ByteVector wire = hex_of(GetParam()["hex"]);
  const Json& fields = GetParam()["fields"];
  const GeneveHeader header = read_geneve_header(wire);
  EXPECT_EQ(header.version, fields["version"]);
  EXPECT_EQ(header.control, fields["control"]);
  EXPECT_EQ(header.protocol, number(fields["protocol"]));
  EXPECT_EQ(header.vni, fields["vni"]);
  EXPECT_EQ(header.option_length, fields.value("opt_len", 0));
  ByteVector written(kGeneveHeaderSize);
  write_geneve_header(written, header);
  EXPECT_EQ(written, wire);
  EXPECT_EQ(kind_of(wire), DatagramKind::geneve);
  const auto relayed = relay_header(wire);
  if (header.version == 0) {
    EXPECT_EQ(*relayed, header);
  } else {
    EXPECT_EQ(relayed.error(), Drop::geneve_version);
  }
}
INSTANTIATE_TEST_SUITE_P(All, HeaderVector, testing::ValuesIn(vectors_of("geneve-header")), name_of);

// ---- handshakes

class ControlVector : public testing::TestWithParam<Json> {};

/// Those that are sealed well, whatever is wrong inside.
std::vector<Json> sealed_vectors() {
  std::vector<Json> out = vectors_of("control");
  std::erase_if(out, [](const Json& one) { return !one.contains("fields"); });
  return out;
}

/// The message that `wire` holds, opened by its recipient.
Result<ByteVector> opened(Bytes envelope, const Json& fields) {
  const auto read = read_envelope(envelope);
  if (!read) return read.error();
  EXPECT_EQ(read->sender, key_of(fields["sender_pub"]));
  ByteVector out(envelope.size());
  const auto message =
      open_envelope(*read, shared_by(owner_of(read->sender), owner_of(key_of(fields["recipient_pub"]))), out);
  if (!message) return message.error();
  return copied(*message);
}

ByteVector sealed(Bytes message, const Json& fields) {
  ByteVector out(kEnvelopeOverhead + message.size());
  GivenBytes nonce(hex_of(fields["nonce"]));
  const DiscoKey sender = key_of(fields["sender_pub"]);
  const SharedKey shared = shared_by(owner_of(key_of(fields["recipient_pub"])), owner_of(sender));
  EXPECT_EQ(seal_envelope(out, sender, shared, nonce, message), out.size());
  return out;
}

TEST_P(ControlVector, IsReadAndWritten) {
  const ByteVector wire = hex_of(GetParam()["hex"]);
  const Json& fields = GetParam()["fields"];
  EXPECT_EQ(wire.size(), fields["udp_payload_len"]);
  const auto header = relay_header(wire);
  ASSERT_TRUE(header.has_value());
  EXPECT_TRUE(header->control);
  EXPECT_EQ(header->vni, kVectorVni);

  const auto plain = opened(Bytes(wire).subspan(kGeneveHeaderSize), fields);
  ASSERT_TRUE(plain.has_value()) << plain.error();
  EXPECT_EQ(*plain, hex_of(fields["plaintext"]));
  const auto message = read_bind_message(*plain);
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ(static_cast<int>(message->type), fields["type"]);
  EXPECT_EQ(message->form, GetParam()["wire"] == "seed" ? WireForm::first : WireForm::current);
  if (message->form == WireForm::current) {
    EXPECT_EQ(message->vni, fields["vni"]);
    EXPECT_EQ(message->generation, fields["generation"]);
    EXPECT_EQ(message->remote, key_of(fields["remote_key"]));
  }
  for (const char* name : {"challenge", "answer"})
    if (fields.contains(name)) {
      EXPECT_EQ(copied(message->challenge), hex_of(fields[name]));
    }

  ByteVector rewritten(kLargestBindMessage);
  rewritten.resize(write_bind_message(rewritten, *message));
  ByteVector again(kGeneveHeaderSize);
  write_geneve_header(again, *header);
  std::ranges::copy(sealed(rewritten, fields), std::back_inserter(again));
  EXPECT_EQ(again, wire);
}

TEST_P(ControlVector, NeverOpensWhenCut) {
  const ByteVector wire = hex_of(GetParam()["hex"]);
  const Bytes envelope = Bytes(wire).subspan(kGeneveHeaderSize);
  for (std::size_t size = 0; size < envelope.size(); ++size) {
    const ByteVector cut = copied(envelope.first(size));
    EXPECT_EQ(opened(cut, GetParam()["fields"]).error(),
              make_error_code(size < kEnvelopeHeaderSize ? Errc::truncated : Errc::denied));
  }
}

TEST_P(ControlVector, MessageIsShortWhenCut) {
  const ByteVector plain = hex_of(GetParam()["fields"]["plaintext"]);
  for (std::size_t size = 0; size < plain.size(); ++size) {
    const auto cut = read_bind_message(copied(Bytes(plain).first(size)));
    if (size < kMessageHeaderSize + kFirstBodySize) {
      EXPECT_EQ(cut.error(), make_error_code(Errc::truncated));
    } else {
      EXPECT_EQ(cut->form, WireForm::first);
    }
  }
  ByteVector longer = plain;
  longer.push_back(std::byte{1});
  EXPECT_EQ(*read_bind_message(longer), *read_bind_message(plain));
}
INSTANTIATE_TEST_SUITE_P(All, ControlVector, testing::ValuesIn(sealed_vectors()), name_of);

TEST(ControlVectors, OfWhichThreeDoNotOpen) {
  EXPECT_EQ(sealed_vectors().size() + 3, vectors_of("control").size());
  const auto envelope_of = [](const ByteVector& wire) { return control_envelope(*relay_header(wire), wire); };
  const ByteVector changed = datagram_of("neg-bitflip");
  ByteVector room(changed.size());
  EXPECT_EQ(open_envelope(*envelope_of(changed), shared_by("a", "server"), room).error(),
            make_error_code(Errc::denied));
  EXPECT_EQ(envelope_of(datagram_of("neg-truncated")).error(), Drop::short_envelope);
  EXPECT_EQ(envelope_of(datagram_of("neg-ctl-wg")).error(), Drop::control_protocol);
}

// ---- challenges

class ChallengeVector : public testing::TestWithParam<Json> {};

TEST_P(ChallengeVector, IsMade) {
  const Json& fields = GetParam()["fields"];
  ChallengeFacts facts{fields["vni"],
                       fields["generation"],
                       key_of(fields["remote_key"]),
                       Endpoint::parse(fields["src"].get<std::string>()).value(),
                       {}};
  ChallengeMaker maker(SecretBytes(hex_of(fields["secret"])));
  for (int again = 0; again < 2; ++again) EXPECT_EQ(copied(maker.make(facts).value()), hex_of(GetParam()["hex"]));
  facts.local = IpAddress::parse(facts.source.address.is_v4() ? "203.0.113.1" : "2001:db8::1").value();
  EXPECT_NE(copied(maker.make(facts).value()), hex_of(GetParam()["hex"]));
  facts.local = {};
  EXPECT_EQ(copied(maker.make(facts).value()), hex_of(GetParam()["hex"]));
}
INSTANTIATE_TEST_SUITE_P(All, ChallengeVector, testing::ValuesIn(vectors_of("mac")), name_of);

// ---- allocations

AddressList addresses_of(const Json& list) {
  AddressList out;
  for (const Json& one : list) out.add(Endpoint::parse(one.get<std::string>()).value());
  return out;
}

ServerEndpoint endpoint_of(const Json& fields) {
  return {key_of(fields["server_disco"]),
          DiscoPair(key_of(fields["client_disco"][1]), key_of(fields["client_disco"][0])),
          fields["lamport_id"],
          fields["vni"],
          Nanoseconds(fields["bind_lifetime_ns"].get<std::int64_t>()),
          Nanoseconds(fields["steady_state_lifetime_ns"].get<std::int64_t>()),
          addresses_of(fields["addr_ports"])};
}

/// Every shorter one is truncated, a longer one the same, another type or version unsupported.
template <class Read>
void expect_edges(const ByteVector& wire, std::size_t least, Read read) {
  for (std::size_t size = 0; size < least; ++size) {
    const ByteVector cut = copied(Bytes(wire).first(size));
    EXPECT_EQ(read(cut).error(), make_error_code(Errc::truncated)) << size;
  }
  ByteVector longer = wire;
  longer.push_back(std::byte{7});
  EXPECT_EQ(*read(longer), *read(wire));
  for (const std::size_t at : {0, 1}) {
    ByteVector other = wire;
    other[at] = std::byte{3};
    EXPECT_EQ(read(other).error(), make_error_code(Errc::unsupported));
  }
}

TEST(AllocationVectors, Request) {
  const ByteVector wire = datagram_of("alloc-request");
  const Json& fields = vector_of("alloc-request")["fields"];
  const AllocationRequest request = read_allocation_request(wire).value();
  EXPECT_EQ(request.clients[0], key_of(fields["client_disco"][0]));
  EXPECT_EQ(request.clients[1], key_of(fields["client_disco"][1]));
  EXPECT_EQ(request.generation, fields["generation"]);
  ByteVector written(kAllocationRequestSize);
  EXPECT_EQ(write_allocation_request(written, request), written.size());
  EXPECT_EQ(written, wire);
  expect_edges(wire, wire.size(), read_allocation_request);
}

TEST(AllocationVectors, Response) {
  const ByteVector wire = datagram_of("alloc-response");
  const Json& fields = vector_of("alloc-response")["fields"];
  const AllocationResponse response = read_allocation_response(wire).value();
  EXPECT_EQ(response.generation, fields["generation"]);
  EXPECT_EQ(response.endpoint, endpoint_of(fields));
  ByteVector written(kLargestEndpointMessage);
  written.resize(write_allocation_response(written, response));
  EXPECT_EQ(written, wire);
  expect_edges(wire, wire.size() - 18, read_allocation_response);
}

TEST(AllocationVectors, CallMeMaybeVia) {
  const ByteVector wire = datagram_of("call-me-maybe-via");
  const ServerEndpoint endpoint = read_call_me_maybe_via(wire).value();
  EXPECT_EQ(endpoint, endpoint_of(vector_of("call-me-maybe-via")["fields"]));
  ByteVector written(kLargestEndpointMessage);
  written.resize(write_call_me_maybe_via(written, endpoint));
  EXPECT_EQ(written, wire);
  expect_edges(wire, wire.size() - 18, read_call_me_maybe_via);
}

TEST(AllocationVectors, ResponseWithoutAnAddressIsShort) {
  EXPECT_EQ(read_allocation_response(datagram_of("neg-alloc-response-noaddr")).error(),
            make_error_code(Errc::truncated));
}

TEST(AllocationVectors, AreSealed) {
  for (const std::string id : {"alloc-request", "alloc-response"}) {
    const ByteVector wire = datagram_of(id + "-sealed");
    const Json& fields = vector_of(id + "-sealed")["fields"];
    EXPECT_EQ(kind_of(wire), DatagramKind::disco);
    EXPECT_EQ(relay_header(wire).error(), Drop::no_geneve);
    EXPECT_EQ(opened(wire, fields).value(), datagram_of(id));
    EXPECT_EQ(sealed(datagram_of(id), fields), wire);
  }
}

// ---- data, and what is not the relay's

TEST(DataVectors, AreDataOfTheirEndpoint) {
  for (const Json& vector : vectors_of("data")) {
    const ByteVector wire = hex_of(vector["hex"]);
    const auto header = relay_header(wire);
    if (vector["id"] == "neg-7-bytes") {
      EXPECT_EQ(header.error(), Drop::short_header);
      continue;
    }
    ASSERT_TRUE(header.has_value()) << vector["id"];
    EXPECT_FALSE(header->control);
    EXPECT_EQ(header->vni, kVectorVni);
    EXPECT_EQ(header->option_length, vector["id"] == "data-optlen1" ? 1 : 0);
    ByteVector written(kGeneveHeaderSize);
    write_geneve_header(written, *header);
    EXPECT_EQ(written, copied(Bytes(wire).first(kGeneveHeaderSize)));
  }
}

TEST(DataVectors, WhatClientsSealForEachOtherOpensForThem) {
  for (const auto& [id, other] : {std::pair("data-disco-ping", "b"), std::pair("data-disco-pong", "a")}) {
    Json fields = vector_of(id)["fields"];
    const ByteVector wire = datagram_of(id);
    const Bytes envelope = Bytes(wire).subspan(kGeneveHeaderSize);
    fields["sender_pub"] = vector_file()["keys"][std::string(other == std::string("b") ? "a" : "b") + "_pub"];
    fields["recipient_pub"] = vector_file()["keys"][std::string(other) + "_pub"];
    EXPECT_EQ(opened(envelope, fields).value(), hex_of(fields["plaintext"]));
    EXPECT_EQ(sealed(hex_of(fields["plaintext"]), fields), copied(envelope));
    EXPECT_EQ(read_bind_message(hex_of(fields["plaintext"])).error(), make_error_code(Errc::unsupported));
  }
}

TEST(StunVectors, AreToldApart) {
  for (const Json& vector : vectors_of("stun")) {
    const ByteVector wire = hex_of(vector["hex"]);
    EXPECT_EQ(kind_of(wire), DatagramKind::stun);
    EXPECT_EQ(relay_header(wire).error(), Drop::no_geneve);
  }
}

TEST(KeyVectors, AreTheKeys) {
  const Json& keys = vector_file()["keys"];
  for (const std::string who : {"a", "b", "server"}) EXPECT_EQ(secret_of(who).public_key(), public_of(who)) << who;
  for (const std::string who : {"a", "server"}) {
    EXPECT_EQ(public_of(who).to_string(), keys[who + "_text"]);
    EXPECT_EQ(public_of(who).to_short_string(), keys[who + "_short"]);
    EXPECT_EQ(DiscoKey::parse(keys[who + "_text"].get<std::string>()).value(), public_of(who));
  }
  EXPECT_EQ(copied(shared_by("a", "b").bytes()), hex_of(keys["shared_a_b"]));
  EXPECT_EQ(copied(shared_by("server", "a").bytes()), hex_of(keys["shared_server_a"]));
  EXPECT_EQ(copied(shared_by("b", "server").bytes()), hex_of(keys["shared_server_b"]));
  EXPECT_EQ(DiscoPair(public_of("b"), public_of("a")).keys[0], key_of(keys["sorted_pair_first"]));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
