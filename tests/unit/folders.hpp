// Where the sources and the built files are. Told to one source file only, so that a compiler's cache serves checkouts
// in several places.
#pragma once

#include <filesystem>

namespace gatehouse {

[[nodiscard]] std::filesystem::path source_folder();
[[nodiscard]] std::filesystem::path binary_folder();

}  // namespace gatehouse
