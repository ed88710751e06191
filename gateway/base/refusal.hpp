// Why something cannot be done, as the one sentence that the operator reads.
#pragma once

#include <stdexcept>

namespace gatehouse {

/// Thrown by control code only: loading, listening, starting. what() says what is wrong and what to do.
class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace gatehouse
