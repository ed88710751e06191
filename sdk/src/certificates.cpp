#include <gatehouse/plugin/certificates.hpp>

#include <stdexcept>

namespace gatehouse {

std::optional<Certificate> Certificates::get(std::uint32_t listener) const {
  if (table_ == nullptr) return {};
  gh_certificate out{};
  out.struct_size = sizeof out;
  const gh_status status = table_->get(table_->context, lane_, listener, &out);
  if (status == GH_E_NOT_FOUND) return {};
  if (status < 0) throw std::runtime_error("the host could not give the certificate of a listener");
  const auto text = [](gh_bytes bytes) { return std::string(from_border(bytes)); };
  return Certificate{out.generation,
                     text(out.chain),
                     text(out.key),
                     text(out.client_ca),
                     text(out.alpn),
                     text(out.ticket_key),
                     text(out.ticket_key_before),
                     out.least_version,
                     out.ktls != 0};
}

}  // namespace gatehouse
