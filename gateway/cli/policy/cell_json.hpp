// A cell of a policy table as JSON. Thread-safe.
#pragma once

#include "db/sqlite.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {

[[nodiscard]] inline nlohmann::ordered_json cell_json(const db::Cell& cell) {
  if (const auto* const number = std::get_if<std::int64_t>(&cell)) return *number;
  if (const auto* const text = std::get_if<std::string>(&cell)) return *text;
  return nullptr;
}

}  // namespace gatehouse
