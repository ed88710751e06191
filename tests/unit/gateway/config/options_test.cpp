#include "gateway/config/config.hpp"

#include "tests/unit/gateway/config/config_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;

constexpr const char* kSchema = R"({"properties": {
  "resolvers": {"type": "array", "items": {"type": "string"}, "default": ["system"], "x-reload": "live"},
  "answer": {"type": "string", "enum": ["nxdomain", "refused", "drop"], "default": "nxdomain"},
  "timeout_ms": {"type": "integer", "minimum": 1, "maximum": 60000, "default": 1000},
  "idle_seconds": {"type": "integer", "minimum": 0},
  "segment": {"type": "boolean", "default": true},
  "key": {"type": "string", "enum": ["k"], "x-secret": true},
  "shape": {"type": "object", "properties": {"width": {"type": "integer", "default": 3}}}}})";

OptionsReading read(const std::string& options, const char* schema = kSchema) {
  const ConfigFolder folder;
  const auto file = folder.write("gatehouse.toml", "[plugin.p]\n[plugin.p.options]\n" + options);
  const ConfigReading reading = read_config(file, {});
  EXPECT_TRUE(reading.config.has_value());
  OptionsReading out = read_options(*reading.config, "p", schema);
  for (ConfigProblem& problem : out.problems) {
    EXPECT_EQ(problem.place.file, file.string());
    problem.place.file = "f";
  }
  return out;
}

std::vector<std::string> problems_of(const std::string& options) {
  std::vector<std::string> out;
  for (const ConfigProblem& problem : read(options).problems) out.push_back(problem.to_string());
  return out;
}

TEST(Options, DefaultsComplete) {
  EXPECT_EQ(read("").json,
            R"({"answer":"nxdomain","resolvers":["system"],"segment":true,"shape":{"width":3},"timeout_ms":1000})");
}

TEST(Options, GivenValuesReplaceDefaults) {
  EXPECT_EQ(read("answer = \"drop\"\nresolvers = [\"127.0.0.1:53\"]\nidle_seconds = 0\nsegment = false\n"
                 "shape.width = 7\n")
                .json,
            R"({"answer":"drop","idle_seconds":0,"resolvers":["127.0.0.1:53"],"segment":false,"shape":{"width":7},)"
            R"("timeout_ms":1000})");
}

TEST(Options, EveryProblemHasItsPlace) {
  EXPECT_THAT(problems_of("answer = \"maybe\"\ntimeout_ms = 0\nidle_seconds = -1\nsegment = 1\nresolvers = [\"a\", 2]\n"
                          "resolver = []\nshape = {height = 1}\nkey = \"hush\"\n"),
              testing::UnorderedElementsAre(
                  "f:3:10: `plugin.p.options.answer` must be one of nxdomain, refused, drop, not \"maybe\"",
                  "f:4:14: `plugin.p.options.timeout_ms` must be a number from 1 to 60000, not 0",
                  "f:5:16: `plugin.p.options.idle_seconds` must be a number of at least 0, not -1",
                  "f:6:11: `plugin.p.options.segment` must be true or false, not 1",
                  "f:7:19: `plugin.p.options.resolvers[]` must be a string, not 2",
                  "f:8:1: unknown key `plugin.p.options.resolver`; did you mean `plugin.p.options.resolvers`?",
                  "f:9:10: unknown key `plugin.p.options.shape.height`; known here: width",
                  "f:10:7: `plugin.p.options.key` must be one of k"));
}

TEST(Options, PluginWithoutOptionsSaysSo) {
  const OptionsReading out = read("a = 1\n", "");
  ASSERT_EQ(out.problems.size(), 1U);
  EXPECT_EQ(out.problems[0].to_string(), "f:3:1: unknown key `plugin.p.options.a`; plugin p has no options");
  EXPECT_EQ(read("", "").json, "{}");
}

TEST(Options, BrokenSchemaIsThePluginsFault) {
  const OptionsReading out = read("", "{");
  ASSERT_EQ(out.problems.size(), 1U);
  EXPECT_THAT(out.problems[0].sentence, testing::StartsWith("the options schema of plugin p is broken ("));
}

}  // namespace
}  // namespace gatehouse
