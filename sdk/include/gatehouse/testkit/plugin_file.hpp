// A plugin's file, opened as the gateway opens it: what is tested then is what is shipped, version script and all.
#pragma once

#include <gatehouse/abi.h>

#include <filesystem>

namespace gatehouse::testkit {

/// Loads a plugin for as long as the program runs (dlopen with RTLD_NOW and RTLD_LOCAL) and finds its manifest. Any
/// thread. The gateway's own checks are `gatehouse plugin check`; here only the magic number is looked at.
/// @throws std::runtime_error  why it cannot be loaded, in the dynamic linker's words, or that it is no plugin
[[nodiscard]] const gh_manifest& load_plugin(const std::filesystem::path& file);

}  // namespace gatehouse::testkit
