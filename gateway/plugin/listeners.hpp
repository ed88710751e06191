// Listening sockets. They belong to the host, so that a restarted or reloaded plugin goes on with the same ones.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/unique_fd.hpp>

#include "gateway/config/config.hpp"

#include <sys/types.h>
#include <memory>
#include <string>
#include <vector>

namespace gatehouse {

/// Could the effective user listen on `address`? Listens on nothing. @throws Refusal
/// @param may_be_taken  by whoever listens there at present: a gateway that runs
void require_bindable(const ListenAddress& address, const std::string& plugin, const std::string& role,
                      bool may_be_taken);

/// Has `a` the port or file of `b`, so that one can keep the other from it?
[[nodiscard]] bool contend(const ListenAddress& a, const ListenAddress& b) noexcept;

/// One configured address with its sockets: TCP and Unix have one, UDP one of a SO_REUSEPORT group for each lane.
/// All are non-blocking and close-on-exec; IPv6 ones take IPv6 only. Control thread only.
class BoundListener {
 public:
  /// Binds and listens. A stale Unix socket file is replaced when nobody listens on it. Port 0 takes a free one.
  /// @throws Refusal that names the address, the plugin and what to do
  BoundListener(std::uint32_t id, const std::string& plugin, std::string role, ListenAddress address, unsigned lanes);
  ~BoundListener() { retire(); }
  BoundListener(const BoundListener&) = delete;
  BoundListener& operator=(const BoundListener&) = delete;

  /// Refuses new connections at once, although lanes may still hold dups, and removes the Unix socket file. A UDP
  /// port becomes free with the last dup. The description stays valid.
  void retire() noexcept;

  [[nodiscard]] std::uint32_t id() const noexcept { return id_; }
  [[nodiscard]] const std::string& role() const noexcept { return role_; }
  [[nodiscard]] const ListenAddress& address() const noexcept { return address_; }
  /// retire() was called.
  [[nodiscard]] bool is_retired() const noexcept { return sockets_.empty(); }
  /// Then others can bind its address, whoever has a dup; a UDP port is free with the last one.
  [[nodiscard]] bool is_free_once_retired() const noexcept { return address_.kind != ListenAddress::Kind::udp; }
  /// With the real port; none for a Unix socket.
  [[nodiscard]] const Endpoint& local() const noexcept { return local_; }
  /// The address as it can be reached: "127.0.0.1:40123", "udp:[::1]:7500", "unix:/run/x.sock".
  [[nodiscard]] std::string reachable() const;

  /// The border's description of it for `lane`, with `fd` as the descriptor. Its views live as long as *this.
  [[nodiscard]] gh_listener describe(std::uint32_t lane, int fd) const noexcept;
  /// A dup of the socket that serves `lane`. @throws Refusal
  [[nodiscard]] UniqueFd dup_for(std::uint32_t lane) const;
  /// Is `fd` a stream that has a peer, and its own end here? One to three system calls.
  [[nodiscard]] bool has_accepted(int fd) const noexcept;

 private:
  void bind_tcp(const std::string& plugin);
  void bind_udp(const std::string& plugin, unsigned lanes);
  void bind_unix(const std::string& plugin);

  std::uint32_t id_;
  std::string role_;
  ListenAddress address_;
  std::vector<gh_prefix> trusted_proxies_;
  std::vector<gh_bytes> origins_;  // of address_
  Endpoint local_;
  std::vector<UniqueFd> sockets_;
  dev_t device_ = 0;  // of the Unix socket file, to know it again
  ino_t inode_ = 0;
};

/// Which file a descriptor is of: as long as that is open, no other one has the same.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const FileId&) const = default;
};

/// One instance's descriptors of a listener: a dup for each lane.
struct LaneSockets {
  std::shared_ptr<const BoundListener> listener;
  std::vector<UniqueFd> fds;
  std::vector<FileId> ids;  // of fds, when they were made: a plugin may close one, and its number be somebody else's
};

/// Dups of `listener` for lanes 0 .. lanes-1. @throws Refusal
[[nodiscard]] LaneSockets dup_for_lanes(std::shared_ptr<const BoundListener> listener, unsigned lanes);

/// Takes `sockets` from an instance that was given up, whose threads may go on using their numbers: these stay taken,
/// by sockets that hear nothing, so that the ports are the next instance's, or free once their listeners are retired. A
/// thread that waits for datagrams of a retired listener is woken, since the kernel keeps the port for as long as it
/// waits. They leave `epolls`, all that the process has: one that waited on (EPOLLEXCLUSIVE) would take wake-ups from
/// the next instance. A dup that the plugin has made itself is not found.
///
/// A number that is not the socket's any more, because the plugin has closed it, is let go of untouched. That is looked
/// at just before: no call replaces a descriptor only while it is still a certain socket's.
/// @return "", or what was left as it is, as a sentence
[[nodiscard]] std::string revoke(LaneSockets& sockets, const std::vector<int>& epolls);

/// Ends each stream that came by one of `listeners` and is still open in this process, whoever has it: its peer is
/// told, instead of waiting for an instance that was given up. To be called while no other instance serves by them.
/// Costs what own_fds() does, and two system calls a socket.
/// @return how many
std::size_t end_streams(const std::vector<std::shared_ptr<BoundListener>>& listeners);

/// As the border wants it: one gh_listener for each listener and lane.
[[nodiscard]] std::vector<gh_listener> describe_all(const std::vector<LaneSockets>& sockets);

}  // namespace gatehouse
