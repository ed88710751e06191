// May this file's code run in the gateway? Asked before dlopen, since that already runs the file's constructors.
#pragma once

#include <filesystem>
#include <string>

namespace gatehouse {

/// A plugin file that was found trustworthy, and the private copy of it that is to be loaded: nobody can change
/// the copy between this check and dlopen, nor while it is mapped.
struct TrustedFile {
  std::filesystem::path original;  ///< without symbolic links
  std::filesystem::path copy;      ///< COPIES/<sha256>/<file name>
  std::string sha256;              ///< of the content, in hex
};

/// Reads `file`, which must be a regular file that root or the effective user owns; neither it, nor its folder, nor
/// any folder above may be changed by others (gatehouse/base/own_path.hpp). Copies it below `copies` (made with mode
/// 0700, as private as the file's own folder), into a folder that is made afresh. Control thread; reads and writes the
/// whole file.
/// @throws Refusal
[[nodiscard]] TrustedFile trust_plugin_file(const std::filesystem::path& file, const std::filesystem::path& copies);

}  // namespace gatehouse
