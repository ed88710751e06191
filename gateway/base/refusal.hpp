// Why something cannot be done, as the one sentence that the operator reads.
#pragma once

#include <stdexcept>
#include <string>

namespace gatehouse {

/// Thrown by control code only: loading, listening, starting. what() says what is wrong and what to do.
class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// @param why_not  a sentence, or "" where there is nothing to refuse @throws Refusal
inline void refuse_unless(const std::string& why_not) {
  if (!why_not.empty()) throw Refusal(why_not);
}

}  // namespace gatehouse
