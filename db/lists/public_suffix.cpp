#include "db/lists/public_suffix.hpp"

#include <libpsl.h>

#include <stdexcept>
#include <string>

namespace gatehouse::db {

bool is_registry_suffix(std::string_view name) {
  if (name.find('.') == name.npos) return true;
  const psl_ctx_t* const list = psl_builtin();
  if (list == nullptr)
    throw std::runtime_error(
        "this system's libpsl has no public suffix list built in: install one that has, or import "
        "with --allow-wide");
  return psl_is_public_suffix2(list, std::string(name).c_str(), PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE) == 1;
}

}  // namespace gatehouse::db
