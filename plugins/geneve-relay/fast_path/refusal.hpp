// What the kernel's refusals mean, in sentences that say what to do. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gatehouse::geneve_relay {

/// A program that holds an interface already.
struct HoldingProgram {
  std::uint32_t id = 0;
  std::string name;  ///< empty: the kernel does not tell
};

/// Why the program or its maps cannot be loaded.
/// @param error     errno
/// @param verifier  the last line that the kernel's verifier wrote; may be empty
[[nodiscard]] std::string load_refusal(int error, const std::string& verifier);

/// Why nothing is attached to an interface; begins as if after "not on eth0: ".
/// @param error  errno
[[nodiscard]] std::string attach_refusal(const std::string& interface, int error,
                                         const std::optional<HoldingProgram>& holder);

/// Why a program is attached generically, as a clause.
/// @param error  errno of the native attempt
[[nodiscard]] std::string native_refusal(const std::string& interface, int error);

}  // namespace gatehouse::geneve_relay
