// The host's side of "no function throws" (abi.h): how each function that a plugin may call is made.
#pragma once

#include <gatehouse/abi.h>

#include <type_traits>

namespace gatehouse {

/// What work() returns, or `otherwise` when it throws: for want of memory, as a rule. Then whatever work() has changed
/// must be as it was, or harmless.
template <class Work>
std::invoke_result_t<Work&> guarded(Work&& work, std::invoke_result_t<Work&> otherwise) noexcept {
  try {
    return work();
  } catch (...) {
    return otherwise;
  }
}
template <class Work>
gh_status guarded(Work&& work) noexcept {
  return guarded(work, GH_E_FAILED);
}

}  // namespace gatehouse
