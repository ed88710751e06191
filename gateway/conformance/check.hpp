// Does a plugin keep the border's rules? The whole check of one file.
#pragma once

#include "gateway/conformance/finding.hpp"
#include "gateway/conformance/notes.hpp"

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse::conformance {

struct Report {
  std::filesystem::path file;  ///< without symbolic links
  std::string sha256;
  Json manifest;  ///< id, version, abi_major, abi_minor; null where it could not be read
  std::vector<std::string> needed;
  std::vector<Finding> findings;
  struct StepTaken {
    std::string name;
    std::chrono::milliseconds took{0};
    std::string skipped;  ///< why it could not be done here, or ""
  };
  std::vector<StepTaken> steps;

  /// Without a fault; warnings may be there.
  [[nodiscard]] bool conforms() const noexcept;
  /// "host ABI 1.0 and every later 1.x", or "" where the manifest could not be read.
  [[nodiscard]] std::string works_with() const;
  [[nodiscard]] Json to_json() const;
};

/// Runs nothing of the file in this process, but forks: the caller must be its only thread. Takes some seconds.
/// @param options  for the plugin, over its schema's defaults: an object
/// @param scratch  a folder that is the caller's alone and from which code may be run
/// @throws Refusal  there is no such file
[[nodiscard]] Report check_plugin(const std::filesystem::path& file, const Json& options,
                                  const std::filesystem::path& scratch);

}  // namespace gatehouse::conformance
