// --block-when-down: nothing leaves this host but through the tunnel, by a table of nftables that outlives us.
#pragma once

#include "plugins/packet-tunnel/client/settings.hpp"
#include "plugins/packet-tunnel/common/nft.hpp"

namespace gatehouse::packet_tunnel {

/// The rules, as nft(8) reads them: the table as it is replaced in one transaction.
/// @param mark  of our own packets to servers
[[nodiscard]] std::string kill_switch_rules(const ClientSettings& settings, std::uint32_t mark);

/// @throws HostError
void put_kill_switch(Nft& nft, const ClientSettings& settings, std::uint32_t mark);
/// One that is not there is no error. @throws HostError
void remove_kill_switch(Nft& nft, const std::string& device);

/// Where a reverse path filter is strict (RFC 3704), answers of the server would be taken for forged, since packets to
/// it without our mark go into the tunnel: these rules mark answers as the questions were. @throws HostError
void put_connection_marks(Nft& nft, const std::string& device, std::uint32_t mark);
void remove_connection_marks(Nft& nft, const std::string& device);

}  // namespace gatehouse::packet_tunnel
