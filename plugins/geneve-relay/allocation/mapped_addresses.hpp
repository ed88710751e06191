// What STUN servers see of the relay's sockets, put together: one address a family, or behind a NAT that gives each
// destination another port, the address with the socket's own port as well.
#pragma once

#include <gatehouse/base/address.hpp>

#include <vector>

namespace gatehouse::geneve_relay {

/// A value.
class MappedAddresses {
 public:
  static constexpr std::size_t kMost = 16;  ///< sights kept

  /// A round of questions begins: what the last one has shown holds until its end, what the one before has, no more.
  void begin_round();
  /// What `server` sees.
  void add(const Endpoint& server, const Endpoint& mapped);
  void clear() noexcept { sights_.clear(); }

  /// To be offered, each once. Where servers see different ports of one IPv4 address, the NAT is hard, and the
  /// address with the socket's own port comes too: somebody may have forwarded it.
  [[nodiscard]] std::vector<Endpoint> offered(const std::vector<Endpoint>& sockets) const;

 private:
  struct Sight {
    Endpoint server, mapped;
    unsigned age;  // in rounds
  };
  std::vector<Sight> sights_;
};

}  // namespace gatehouse::geneve_relay
