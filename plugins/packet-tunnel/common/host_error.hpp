// Why the host's network could not be set up, as a sentence for the operator.
#pragma once

#include <gatehouse/base/error.hpp>

#include <stdexcept>
#include <string>

namespace gatehouse::packet_tunnel {

/// what() is a whole sentence that says what failed, why, and for want of a capability or a module what to do.
class HostError : public std::runtime_error {
 public:
  /// "cannot WHAT: REASON", and what to do about it where that is known.
  /// @param said  what the kernel says beside its code; may be empty
  HostError(const std::string& what, Error code, const std::string& said = {});
  /// `sentence` as it is.
  explicit HostError(const std::string& sentence);

  /// EPERM, ENODEV, ...; Errc::failed where there is no code.
  [[nodiscard]] Error code() const noexcept { return code_; }

 private:
  Error code_;
};

}  // namespace gatehouse::packet_tunnel
