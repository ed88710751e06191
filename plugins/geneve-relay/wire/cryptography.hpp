// What has to be done before the first key or box.
#pragma once

namespace gatehouse::geneve_relay {

/// Has libsodium choose what this processor does fastest. Once, before threads use the rest; again does no harm.
/// False: it does not work here, and nothing of the relay will.
[[nodiscard]] bool prepare_cryptography() noexcept;

}  // namespace gatehouse::geneve_relay
