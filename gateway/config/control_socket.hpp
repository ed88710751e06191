// Where the gateway's own control socket is. Values; no thread rule.
#pragma once

#include "gateway/config/config.hpp"

namespace gatehouse {

[[nodiscard]] inline std::filesystem::path control_socket(const Config& config) {
  return config.runtime_dir / "control.sock";
}

}  // namespace gatehouse
