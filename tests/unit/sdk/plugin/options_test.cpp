#include <gatehouse/plugin/options.hpp>

#include <gtest/gtest.h>

#include <stdexcept>

namespace gatehouse {
namespace {

TEST(Options, ReadsEachType) {
  const Options options(R"({"a": "text", "b": 5, "c": true, "d": ["x", "y"], "e": []})");
  EXPECT_EQ(options.text("a"), "text");
  EXPECT_EQ(options.integer("b"), 5);
  EXPECT_TRUE(options.boolean("c"));
  EXPECT_EQ(options.texts("d"), (std::vector<std::string>{"x", "y"}));
  EXPECT_TRUE(options.texts("e").empty());
  EXPECT_THROW(static_cast<void>(options.text("b")), std::bad_variant_access);
  EXPECT_THROW(static_cast<void>(options.text("none")), std::out_of_range);
}

TEST(Options, RefusesWhatIsNoObject) {
  EXPECT_THROW(Options("[]"), std::runtime_error);
  EXPECT_THROW(Options("{"), std::runtime_error);
}

}  // namespace
}  // namespace gatehouse
