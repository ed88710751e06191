// Calls the command line as a shell would, in this process.
#pragma once

#include "gateway/cli/cli.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace gatehouse {

struct Outcome {
  int code = -1;
  std::string out, err;
};

inline Outcome call(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "gatehouse");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = run_cli(static_cast<int>(arguments.size()), argv.data());
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

}  // namespace gatehouse
