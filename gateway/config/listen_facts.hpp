// How the streams of a listener begin and who their clients are: the keys of a listener's table beside its address, and
// what is refused about them. Values; no thread rule.
#pragma once

#include "gateway/config/config.hpp"
#include "gateway/config/table_reader.hpp"

#include <string>

namespace gatehouse {

/// What a listener's table says beside the facts themselves.
struct SaidFacts {
  bool auth = false;    ///< there is an `auth`, be it "none"
  bool no_tls = false;  ///< tls = false
  TlsConfig tls;        ///< what it has if it has TLS
};

/// Reads tls, auth, opening, origins, proxy_protocol and trusted_proxies into `out`, before its address is known.
/// `said.tls` is given as what holds without a table.
void read_listen_facts(TableReader& reader, ListenAddress& out, SaidFacts& said, std::vector<ConfigProblem>& problems);

/// What is well formed and still refused of a listener that is read: open to everybody by mistake, or without the means
/// for what it asks.
/// @return "" or a sentence that says what to do
[[nodiscard]] std::string why_not_meant(const ListenAddress& address, const SaidFacts& said);

}  // namespace gatehouse
