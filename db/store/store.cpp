#include "db/store/store.hpp"

namespace gatehouse::db {
namespace {

struct Name {
  std::string operator()(std::uint64_t session) const { return "sessions with id " + std::to_string(session); }
  std::string operator()(const LeaseKey& key) const { return "leases of " + key.plugin + ", " + key.resource; }
  std::string operator()(const UsageKey& key) const {
    return "usage of day " + std::to_string(key.day) + ", " + key.plugin + ", " + key.identity;
  }
  std::string operator()(const ValueKey& key) const { return "plugin_values of " + key.plugin + ", " + key.name; }
};

}  // namespace

std::string name_of(const RefusedRow& refused) { return "the row of " + std::visit(Name(), refused.row); }

}  // namespace gatehouse::db
