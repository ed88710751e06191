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
  return Certificate{out.generation, std::string(from_border(out.chain)), std::string(from_border(out.key)),
                     std::string(from_border(out.client_ca))};
}

}  // namespace gatehouse
