#include "tests/unit/folders.hpp"

namespace gatehouse {

std::filesystem::path source_folder() { return GATEHOUSE_SOURCE_DIR; }
std::filesystem::path binary_folder() { return GATEHOUSE_BINARY_DIR; }

}  // namespace gatehouse
