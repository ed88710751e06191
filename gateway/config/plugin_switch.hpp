// `gatehouse plugin enable|disable`: the one drop-in file that the program writes itself.
#pragma once

#include <filesystem>
#include <string>

namespace gatehouse {

/// Sets `enabled` of `[plugin.NAME]` in gatehouse.d/90-plugins.toml beside `config_file`, by an atomic rename, and
/// keeps the file's other switches.
/// @return the file written
/// @throws std::runtime_error  a sentence: the file holds something else than switches, or cannot be written
std::filesystem::path switch_plugin(const std::filesystem::path& config_file, const std::string& plugin, bool enabled);

}  // namespace gatehouse
