#include "plugins/geneve-relay/relay/leg_state.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

namespace gatehouse::geneve_relay {
namespace {

TEST(Drop, EveryCauseHasANameAndWordsOfItsOwn) {
  std::set<std::string_view> names, sentences;
  for (std::size_t i = 0; i < kDrops; ++i) {
    const auto drop = static_cast<Drop>(i);
    EXPECT_TRUE(names.insert(to_text(drop)).second && !to_text(drop).empty()) << i;
    EXPECT_TRUE(sentences.insert(describe(drop)).second && !describe(drop).empty()) << i;
    EXPECT_EQ(to_text(drop).find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string_view::npos);
  }
  EXPECT_EQ(to_text(Drop::short_header), "short_header");
  EXPECT_EQ(to_text(Drop::unbound_source), "unbound_source");
  EXPECT_EQ(describe(Drop::not_bound), "data before both clients were bound");
}

TEST(LegState, SurvivesItsWord) {
  for (const auto handshake :
       {HandshakeState::none, HandshakeState::challenged, HandshakeState::bound, HandshakeState::rebinding})
    for (const WireForm form : {WireForm::first, WireForm::current})
      for (std::size_t drop = 0; drop <= kDrops; ++drop) {
        LegState state{handshake, form, static_cast<InKernel>(drop % kInKernel), {}, 0};
        if (drop < kDrops) {
          state.last_refusal = static_cast<Drop>(drop);
          state.refusals = std::numeric_limits<std::uint32_t>::max();
        }
        EXPECT_EQ(LegState::from_word(state.to_word()), state);
      }
}

TEST(LegState, AWordOfALaterVersionIsNoHarm) {
  const LegState state = LegState::from_word(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(state.handshake, HandshakeState::none);
  EXPECT_EQ(state.form, WireForm::current);
  EXPECT_EQ(state.refusals, 0U);
  EXPECT_EQ(state.kernel, InKernel::none);
  EXPECT_EQ(state.to_string(), "no handshake yet");
}

TEST(LegState, RefusalsStayAtTheLargestNumber) {
  LegState state;
  state.refusals = std::numeric_limits<std::uint32_t>::max() - 1;
  for (int i = 0; i < 3; ++i) state.refuse(Drop::box);
  EXPECT_EQ(state.refusals, std::numeric_limits<std::uint32_t>::max());
}

TEST(LegState, IsToldInWords) {
  LegState first, second{.handshake = HandshakeState::bound, .form = WireForm::first};
  EXPECT_EQ(describe_session(first.to_word(), second.to_word()),
            "first client: no handshake yet. Second client: bound (first form)");
  first.handshake = HandshakeState::challenged;
  first.refuse(Drop::box);
  second = {.handshake = HandshakeState::rebinding};
  second.refuse(Drop::box);
  second.refuse(Drop::no_handshake);
  EXPECT_EQ(
      describe_session(first.to_word(), second.to_word()),
      "first client: challenged, has not answered; refused 1 time: the box does not open: sealed for another relay "
      "or by another key, or changed under way. Second client: bound, and challenged again; refused 2 times, last: "
      "an Answer, and no handshake is in progress");
}

TEST(LegState, SaysWhoRelaysWhatTheClientSends) {
  LegState state{.handshake = HandshakeState::bound, .form = WireForm::first};
  state.kernel = InKernel::there;
  EXPECT_EQ(state.to_string(), "bound (first form), relayed by the kernel");
  state.form = WireForm::current;
  state.kernel = InKernel::metered;
  state.refuse(Drop::rate);
  EXPECT_EQ(state.to_string(),
            "bound, relayed by user space: a rule meters it; refused 1 time: " + std::string(describe(Drop::rate)));
  std::set<std::string> all;
  for (std::size_t kernel = 0; kernel < kInKernel; ++kernel) {
    state.kernel = static_cast<InKernel>(kernel);
    EXPECT_TRUE(all.insert(state.to_string()).second);
    EXPECT_NE(to_text(state.kernel), "unknown");
  }
}

}  // namespace
}  // namespace gatehouse::geneve_relay
