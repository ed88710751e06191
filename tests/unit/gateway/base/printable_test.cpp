#include "gateway/base/printable.hpp"

#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include <sstream>

namespace gatehouse {
namespace {

struct Text {
  const char* name;
  std::string given, shown;
};

class Printable : public testing::TestWithParam<Text> {};

TEST_P(Printable, Shows) { EXPECT_EQ(printable(GetParam().given), GetParam().shown); }

const Text kTexts[] = {
    {"Ascii", "a b\\c", "a b\\c"},
    {"Letters", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"C0", std::string("a\0\t\n\x1b", 5), "a\\x00\\x09\\x0a\\x1b"},
    {"Del", "\x7f", "\\x7f"},
    {"C1", "\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0"},
    {"C1AsBytes", "\x9b[2J", "\\x9b[2J"},
    {"Bidi", "\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c",
     "\\u202e\\u2066\\u2069\\u200e\\u200f\\u061c"},
    {"LineEnds", "\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029"},
    {"LongForm", "\xc0\x9b\xe0\x82\x9b", "\\xc0\\x9b\\xe0\\x82\\x9b"},
    {"Surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80"},
    {"CutShort", "a\xe2\x82", "a\\xe2\\x82"},
};
INSTANTIATE_TEST_SUITE_P(All, Printable, testing::ValuesIn(kTexts),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(PrintableJson, IsTheSameValue) {
  const nlohmann::json value = {{"a\xc2\x9b", "\x1b\x7f\xc2\x85 \xe2\x80\xae \xc3\xa9 \n"}, {"b", {1, 2}}};
  for (const int indent : {-1, 2}) {
    const std::string text = printable_json(value.dump(indent));
    EXPECT_EQ(nlohmann::json::parse(text), value);
    for (const char* const control : {"\x1b", "\x7f", "\xc2\x9b", "\xc2\x85", "\xe2\x80\xae"})
      EXPECT_EQ(text.find(control), std::string::npos);
  }
}

TEST(PrintableStream, EscapesHoweverItIsWritten) {
  std::ostringstream sink;
  {
    PrintableStream out(sink);
    out << "a\xc2"
        << "\x9b" << '\x1b' << "[2J\tb\n"
        << 7;
    EXPECT_EQ(sink.str(), "a\\u009b\\u001b[2J\tb\n") << "whole lines are passed on";
    out << std::flush << '\xe2';
  }
  EXPECT_EQ(sink.str(), "a\\u009b\\u001b[2J\tb\n7\\xe2");
}

}  // namespace
}  // namespace gatehouse
