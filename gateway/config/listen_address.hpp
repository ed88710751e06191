// Listener addresses: their text forms, and what is refused about them. Values; no thread rule.
#pragma once

#include "gateway/config/config.hpp"
#include "gateway/config/config_tree.hpp"

namespace gatehouse {

/// Reads "127.0.0.1:7300", "[::]:7300", "udp:0.0.0.0:7500", "unix:/path" or "tls:0.0.0.0:7301" into `out`; the last
/// gives it an empty TlsConfig.
/// @return "" or what is wrong, as a sentence
[[nodiscard]] std::string parse_listen_address(const std::string& text, ListenAddress& out);

/// Reads one listener: such a text, or a table {address, tls, auth, opening, origins, proxy_protocol, trusted_proxies,
/// identity, mode, group}. `path` names it in sentences. Refuses what would be open to the network without being meant
/// so, and what asks for something without its means; what depends on the plugin's role is left to
/// accept_configuration().
/// @param tls  `[tls]`, what a listener with TLS has unless its own table says otherwise
[[nodiscard]] std::optional<ListenAddress> read_listen_address(const ConfigValue& value, const std::string& path,
                                                               const TlsConfig& tls,
                                                               std::vector<ConfigProblem>& problems);

/// Permissions as "0660" or 0o660.
[[nodiscard]] std::optional<std::uint32_t> read_mode(const ConfigValue& value, const std::string& path,
                                                     std::vector<ConfigProblem>& problems);

}  // namespace gatehouse
