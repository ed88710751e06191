// How a call of the border with a `durable` completion is made.
#pragma once

#include "gateway/base/guarded.hpp"
#include "gateway/store/durability.hpp"

#include <memory>

namespace gatehouse {

/// What a call came to.
struct Asked {
  gh_status status = GH_OK;
  bool is_new = true;  ///< it asks for something new, which `no_new` may refuse
};

/// Calls work(ticket), which returns Asked, and sees to it that `durable` is completed if it went well, and only then.
template <class Work>
gh_status durably(Durability& durability, const std::shared_ptr<Requester>& who, const gh_completion* durable,
                  Work work) noexcept {
  Durability::Ticket ticket = 0;
  const Asked asked = guarded(
      [&] {
        ticket = durability.await(who, durable);
        return work(ticket);
      },
      Asked{GH_E_FAILED});
  if (asked.status == GH_OK) {
    durability.arm(ticket, asked.is_new);
  } else {
    durability.cancel(ticket);
  }
  return asked.status;
}

}  // namespace gatehouse
