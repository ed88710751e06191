// A program whose standard input and output are the stream to a server, for instance ssh to a gateway's Unix socket.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <sys/types.h>

#include <string>

namespace gatehouse::packet_tunnel {

/// A process group of its own, ended by the destructor. Its standard error is ours.
class TransportCommand {
 public:
  /// Starts `command` by /bin/sh. @throws std::runtime_error  a sentence
  explicit TransportCommand(const std::string& command);
  TransportCommand(const TransportCommand&) = delete;
  TransportCommand& operator=(const TransportCommand&) = delete;
  /// SIGTERM, and SIGKILL for what is left after 2 s, during which it waits.
  ~TransportCommand();

  /// Our end of the stream; once.
  [[nodiscard]] UniqueFd take_socket() noexcept { return std::move(socket_); }

 private:
  UniqueFd socket_;
  pid_t child_ = -1;
};

}  // namespace gatehouse::packet_tunnel
