// A fixture for tests of the whole command line: a configuration whose plugins are the tests' own.
#pragma once

#include "tests/unit/folders.hpp"
#include "tests/unit/gateway/cli/call.hpp"
#include "tests/unit/gateway/config/config_folder.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gatehouse {

class CliTest : public testing::Test {
 protected:
  /// A configuration whose plugins are the test's, with `more` at its end.
  std::string config(const std::string& more = "") {
    return folder_
        .write("gatehouse.toml", "metrics.listen = \"\"\n[gateway]\nstate_dir = \"" + folder_.path().string() +
                                     "/state\"\nruntime_dir = \"" + folder_.path().string() + "\"\nplugin_dirs = [\"" +
                                     binary_folder().string() + "/test-plugins\"]\n" + more)
        .string();
  }
  ConfigFolder folder_;
};

}  // namespace gatehouse
