// What a plugin's file says before any of its code runs.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include "gateway/conformance/finding.hpp"

#include <string>
#include <vector>

namespace gatehouse::conformance {

struct StaticPart {
  std::vector<Finding> findings;
  bool loadable = false;            ///< dlopen may have it
  std::vector<std::string> needed;  ///< libraries
};

/// Reads the content of a file; runs nothing of it. Any thread.
[[nodiscard]] StaticPart check_file(Bytes content);

}  // namespace gatehouse::conformance
