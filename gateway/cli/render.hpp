// How the verbs print: JSON bodies, as they are or for people as small aligned tables. What is printed comes from the
// gateway, a plugin or rows that anybody may have written, so every control character is escaped and none is sent to
// the terminal. Pure functions but for print_*; main thread.
#pragma once

#include "gateway/base/printable.hpp"
#include "gateway/cli/invocation.hpp"

#include <nlohmann/json_fwd.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace gatehouse {

/// Columns as wide as their widest cell, two spaces apart, no spaces at a line's end.
[[nodiscard]] std::string text_table(const std::vector<std::vector<std::string>>& rows);

/// A JSON object: its plain members first, as "name  value"; then each list of objects as a table under its name.
/// Nested objects get dotted names. Bytes that are no JSON come back as they are, printable().
[[nodiscard]] std::string render(const std::string& json);

/// A JSON body in one line, whatever bytes its texts hold.
[[nodiscard]] std::string one_line(const nlohmann::ordered_json& body);

/// Writes a JSON body, indented, whatever bytes its texts hold.
void print_json(std::ostream& out, const nlohmann::ordered_json& body);

/// Writes the text of a JSON body to standard output: as it is with --json, else rendered.
void print_body(const Invocation& invocation, const std::string& json);

}  // namespace gatehouse
