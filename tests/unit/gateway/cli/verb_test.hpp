// A fixture for tests that call one verb: a folder with a configuration, and what the verb prints and returns.
#pragma once

#include "gateway/cli/invocation.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>
#include <string>

namespace gatehouse {

class VerbTest : public testing::Test {
 protected:
  VerbTest() { configure(); }

  /// Writes the configuration: the gateway's folders are the test's, and `more` stands at the end.
  void configure(const std::string& more = "") const {
    std::ofstream(folder.path() / "gatehouse.toml") << "[gateway]\nstate_dir = \"" << path.parent_path().string()
                                                    << "\"\nruntime_dir = \"" << folder.path().string() << "\"\n"
                                                    << more;
  }

  /// Calls the verb, whose output, of both streams, is in `out` afterwards.
  template <class Arguments>
  int call(Verb<Arguments> verb, const Arguments& arguments = {}, bool json = false) {
    out.str("");
    return verb({.out = out, .err = out, .config = folder.path() / "gatehouse.toml", .json = json}, arguments);
  }

  /// What the verb prints, with "[code]" at the end, or the sentence that it throws.
  template <class Arguments>
  std::string text_of(Verb<Arguments> verb, const Arguments& arguments = {}, bool json = false) {
    try {
      const int code = call(verb, arguments, json);
      return out.str() + '[' + std::to_string(code) + ']';
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  static nlohmann::json body(const std::string& text) { return nlohmann::json::parse(text.substr(0, text.rfind('['))); }
  nlohmann::json body() const { return nlohmann::json::parse(out.str()); }
  std::string shell(const std::string& sql) const { return run_sqlite_shell(path, sql); }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "state" / "policy.db";
  std::ostringstream out;
};

}  // namespace gatehouse
