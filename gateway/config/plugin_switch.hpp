// `gatehouse plugin enable|disable`: the one drop-in file that the program writes itself.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace gatehouse {

/// What gatehouse.d/90-plugins.toml beside `config_file` says of the plugin; nothing when it does not name it.
/// @throws std::runtime_error  a sentence: the file holds something else than switches
std::optional<bool> plugin_switch(const std::filesystem::path& config_file, const std::string& plugin);

/// Sets `enabled` of `[plugin.NAME]` in that file, or takes it out where nothing is given, by an atomic rename, and
/// keeps the file's other switches.
/// @return the file written
/// @throws std::runtime_error  a sentence: the file holds something else than switches, or cannot be written
std::filesystem::path switch_plugin(const std::filesystem::path& config_file, const std::string& plugin,
                                    std::optional<bool> enabled);

}  // namespace gatehouse
