// The program for the kernel, as the build has compiled it (relay.bpf.c).
#pragma once

#include <gatehouse/base/bytes.hpp>

namespace gatehouse::geneve_relay {

/// An ELF object for libbpf; lives as long as the process. Empty where the build had no clang.
[[nodiscard]] Bytes relay_object() noexcept;

}  // namespace gatehouse::geneve_relay
