// The keys of `[tls]` and of a listener's own `tls`. Values; no thread rule.
#pragma once

#include "gateway/config/config.hpp"
#include "gateway/config/table_reader.hpp"

namespace gatehouse {

/// Reads certificate, key, client_ca, alpn, minimum and ktls; what is not there stays as it is.
void read_tls_keys(TableReader& reader, TlsConfig& out);

}  // namespace gatehouse
