// Why the kernel does not relay, as a sentence for the operator.
#pragma once

#include <stdexcept>

namespace gatehouse::geneve_relay {

/// what() says what failed, why and what to do. User space relays all the same.
class FastPathError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace gatehouse::geneve_relay
