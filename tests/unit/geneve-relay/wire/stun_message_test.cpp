#include "plugins/geneve-relay/wire/stun_message.hpp"

#include "tests/unit/geneve-relay/vectors.hpp"

namespace gatehouse::geneve_relay {
namespace {

StunTransaction transaction_of(const Json& vector) {
  StunTransaction out;
  std::ranges::copy(hex_of(vector["fields"]["txid"]), out.begin());
  return out;
}

TEST(StunMessage, RequestIsTheReferences) {
  const auto request = write_stun_request(transaction_of(vector_of("stun-request")));
  EXPECT_EQ(ByteVector(request.begin(), request.end()), datagram_of("stun-request"));
}

TEST(StunMessage, ResponseIsRead) {
  const auto response = read_stun_response(datagram_of("stun-response"));
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->transaction, transaction_of(vector_of("stun-response")));
  EXPECT_EQ(response->mapped.to_string(), vector_of("stun-response")["fields"]["mapped"]);
}

TEST(StunMessage, EveryPrefixIsTruncated) {
  const ByteVector whole = datagram_of("stun-response");
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_EQ(read_stun_response(ByteVector(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))).error(),
              Errc::truncated);
}

TEST(StunMessage, RequestIsNoResponse) {
  EXPECT_EQ(read_stun_response(datagram_of("stun-request")).error(), Errc::unsupported);
}

TEST(StunMessage, ResponseOfEitherFamilyAndAge) {
  const auto mapped = [](const std::string& attributes) {
    const ByteVector rest = hex(attributes);
    ByteVector whole = hex("01010000|2112a442|000102030405060708090a0b");
    whole[3] = static_cast<std::byte>(rest.size());
    whole.insert(whole.end(), rest.begin(), rest.end());
    const auto response = read_stun_response(whole);
    return response ? response->mapped.to_string() : response.error().message();
  };
  const std::string plain = "00010008|0001|0050|c0000201";
  EXPECT_EQ(mapped("00200014|0002|a147|0113a9fa|00010203|04050607|08090a0a"), "[2001:db8::1]:32853");
  EXPECT_EQ(mapped(plain), "192.0.2.1:80");
  EXPECT_EQ(mapped(plain + "00200008|0001819eea12d547"), "203.0.113.5:41100") << "the XOR form is believed first";
  EXPECT_EQ(mapped("80220003|61626300" + plain), "192.0.2.1:80") << "padded";
  const std::string malformed = make_error_code(Errc::malformed).message();
  for (const char* wrong : {"", "00200008|0003819eea12d547", "00200008|00018112eea1", "00200004|00018112",
                            "00010008|0001|0000|c0000201", "00010008|0001|0050|00000000", "00200014|0001"})
    EXPECT_EQ(mapped(wrong), malformed) << wrong;
}

}  // namespace
}  // namespace gatehouse::geneve_relay
