// The project of a new plugin, made from the templates that are installed with the SDK. Control code: main thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse {

/// What a new plugin is made from.
struct PluginProject {
  std::string name;                 ///< "my-protocol": of the plugin, its files and its targets
  std::string kind;                 ///< a folder of the templates: stream, datagram or packet
  std::filesystem::path directory;  ///< where to; absolute
};

/// The templates that belong to this program: ../share/gatehouse/template, seen from its folder. In a build folder,
/// too.
/// @throws Refusal  there are none, as the SDK is not installed
[[nodiscard]] std::filesystem::path template_folder();

/// Copies the files of `templates`/common and of `templates`/KIND. In each, my-protocol and my_protocol become the
/// name,
/// @DIRECTORY@ the directory, and a line @word@ what KIND/word.part has.
/// @return what was made, relative to the directory, sorted
/// @throws Refusal  the name is none that a plugin can have, or the directory is there and not empty: nothing was
/// written.
///                  Or a file cannot be written: those before it are left
std::vector<std::filesystem::path> make_plugin_project(const std::filesystem::path& templates,
                                                       const PluginProject& project);

}  // namespace gatehouse
