#include "plugins/geneve-relay/wire/bind_message.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

TEST(BindMessage, WhatStandsWhereABindHasNoChallengeIsNotRead) {
  testkit::ByteVector wire(kLargestBindMessage, std::byte{0xee});
  wire[0] = static_cast<std::byte>(MessageType::bind);
  for (const std::size_t body : {kFirstBodySize, kCurrentBodySize}) {
    const auto message = read_bind_message(Bytes(wire).first(kMessageHeaderSize + body));
    EXPECT_EQ(message->challenge, Challenge());
  }
}

TEST(BindMessage, ItsVersionIsNotLookedAt) {
  testkit::ByteVector wire(kLargestBindMessage);
  wire[0] = static_cast<std::byte>(MessageType::answer);
  const auto message = read_bind_message(wire);
  wire[1] = std::byte{0xff};
  EXPECT_EQ(*read_bind_message(wire), *message);
}

TEST(BindMessage, ItsLengthTellsTheForm) {
  testkit::ByteVector wire(200);
  wire[0] = static_cast<std::byte>(MessageType::answer);
  for (std::size_t body = kFirstBodySize; body + kMessageHeaderSize <= wire.size(); ++body) {
    const auto message = read_bind_message(Bytes(wire).first(kMessageHeaderSize + body));
    EXPECT_EQ(message->form, body < kCurrentBodySize ? WireForm::first : WireForm::current) << body;
  }
}

}  // namespace
}  // namespace gatehouse::geneve_relay
