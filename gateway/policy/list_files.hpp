// The list files that `gatehouse policy import` writes, opened for the shelf.
#pragma once

#include "gateway/policy/list_shelf.hpp"

namespace gatehouse {

/// @throws std::runtime_error when the file is missing, cut or none of ours
[[nodiscard]] OpenedList open_list_file(const std::filesystem::path& path);

}  // namespace gatehouse
