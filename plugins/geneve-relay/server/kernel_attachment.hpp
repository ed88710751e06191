// Keeps the relay's program in the kernel in line with its listeners and the host's interfaces.
#pragma once

#include "plugins/geneve-relay/fast_path/fast_path.hpp"

#include <gatehouse/plugin/host.hpp>

#include <span>
#include <string>

namespace gatehouse::geneve_relay {

/// Of one lane, the first; not thread-safe.
class KernelAttachment {
 public:
  /// @param path  null: nothing is done
  explicit KernelAttachment(FastPath* path) noexcept : path_(path) {}

  /// Relays what comes to the ports of these listeners, on all Ethernet interfaces that have their addresses: also on
  /// those that have come since. Logs what is otherwise than before. Some system calls; a driver may take 0.1 s.
  void follow(std::span<const Endpoint> listeners, const Log& log);

 private:
  FastPath* path_;
  std::string told_;
};

}  // namespace gatehouse::geneve_relay
