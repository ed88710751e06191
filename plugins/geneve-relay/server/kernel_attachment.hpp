// Keeps the relay's program in the kernel in line with its listeners and the host's interfaces.
#pragma once

#include "plugins/geneve-relay/fast_path/fast_path.hpp"

#include <gatehouse/plugin/host.hpp>

#include <span>
#include <string>

namespace gatehouse::geneve_relay {

/// Takes the program off where an instance before this one has left it: one that hangs, and was given up. In start().
void end_former_attachment(const Host& host);

/// Of one lane, the first; not thread-safe.
class KernelAttachment {
 public:
  /// @param path  null: nothing is done
  explicit KernelAttachment(FastPath* path) noexcept : path_(path) {}

  /// Relays what comes to the ports of these listeners, on all Ethernet interfaces that have their addresses: also on
  /// those that have come since. Logs what is otherwise than before. What is attached is left to the host, for the next
  /// instance (end_former_attachment()). Some system calls; a driver may take 0.1 s.
  void follow(std::span<const Endpoint> listeners, const Host& host);
  /// For so many endpoints; where the kernel refuses that, the log says so.
  void make_room(std::size_t most_endpoints, const Log& log);

 private:
  FastPath* path_;
  std::string told_;
};

}  // namespace gatehouse::geneve_relay
