#include "plugins/geneve-relay/wire/cryptography.hpp"

#include <sodium.h>

namespace gatehouse::geneve_relay {

bool prepare_cryptography() noexcept { return sodium_init() >= 0; }

}  // namespace gatehouse::geneve_relay
