#include "plugins/geneve-relay/wire/duration_text.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

constexpr Nanoseconds kLongest{std::numeric_limits<Nanoseconds::rep>::max()};

struct Text {
  Nanoseconds duration;
  const char* text;
};

TEST(DurationText, IsGos) {
  for (const auto& [duration, text] : std::initializer_list<Text>{{0ns, "0s"},
                                                                  {1ns, "1ns"},
                                                                  {999ns, "999ns"},
                                                                  {1us, "1µs"},
                                                                  {1500ns, "1.5µs"},
                                                                  {1ms, "1ms"},
                                                                  {2200us, "2.2ms"},
                                                                  {999999999ns, "999.999999ms"},
                                                                  {1s, "1s"},
                                                                  {1500ms, "1.5s"},
                                                                  {30s, "30s"},
                                                                  {59999999999ns, "59.999999999s"},
                                                                  {5min, "5m0s"},
                                                                  {65s, "1m5s"},
                                                                  {1h, "1h0m0s"},
                                                                  {1h + 1ns, "1h0m0.000000001s"},
                                                                  {100h + 30min + 10ms, "100h30m0.01s"},
                                                                  {kLongest, "2562047h47m16.854775807s"}}) {
    EXPECT_EQ(to_duration_text(duration), text);
    EXPECT_EQ(parse_duration_text(text).value(), duration) << text;
  }
}

TEST(DurationText, OtherSpellingsAreRead) {
  for (const auto& [duration, text] : std::initializer_list<Text>{{0ns, "0"},
                                                                  {500ms, ".5s"},
                                                                  {5s, "5.s"},
                                                                  {3us, "3us"},
                                                                  {3us, "3μs"},
                                                                  {90s, "30s1m"},
                                                                  {5400s, "1.5h"},
                                                                  {0ns, "0.9ns"}})
    EXPECT_EQ(parse_duration_text(text).value(), duration) << text;
}

TEST(DurationText, OtherTextIsRefused) {
  for (const char* text :
       {"", "1", "s", ".s", "1x", "-1s", "+1s", " 1s", "1s ", "1 s", "1..5s", "1.5", "1d", "00", "1e3s"})
    EXPECT_EQ(parse_duration_text(text).error(), make_error_code(Errc::malformed)) << text;
  for (const char* text : {"2562047h47m16.854775808s", "99999999999999999999s", "9223372036854775808ns",
                           "18446744073709551615h", "2562048h", "2562047h1h"})
    EXPECT_EQ(parse_duration_text(text).error(), make_error_code(Errc::oversize)) << text;
}

TEST(DurationText, WhatIsWrittenIsReadAgain) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    const Nanoseconds duration(static_cast<Nanoseconds::rep>(random() >> (1 + random() % 62)));
    EXPECT_EQ(parse_duration_text(to_duration_text(duration)).value(), duration) << to_duration_text(duration);
  }
}

}  // namespace
}  // namespace gatehouse::geneve_relay
