// What the zones and data of an unbound list come to together: the words of its lines, and their meaning once all names
// are known in order. One thread.
#pragma once

#include "policy/lists/list_entry.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace gatehouse::db {

/// As lines say it, before settle(): of a zone about the name and those below, of data about the name alone. Data beats
/// its zone's kind, and an `always_` kind beats data.
namespace unbound_words {
inline constexpr auto kAlwaysBlocked = static_cast<policy::ListMark>(6),
                      kAlwaysPassed = static_cast<policy::ListMark>(7),
                      kAsItself = policy::ListMark::open;  // below: what the name itself gets
inline constexpr policy::ListEntry kBlocks = policy::ListEntry::suffix, kPasses = policy::ListEntry::exception,
                                   kAlwaysBlocks{kAlwaysBlocked, kAlwaysBlocked},
                                   kAlwaysPasses{kAlwaysPassed, kAlwaysPassed},
                                   kRedirects{policy::ListMark::listed, kAsItself},
                                   kSinkhole{policy::ListMark::important, policy::ListMark::none},
                                   kAddress{policy::ListMark::important_exception, policy::ListMark::none};
}  // namespace unbound_words

class UnboundZones {
 public:
  /// What a name has in the end, called with every name in the order of a list file; none for data that its zone
  /// ignores.
  [[nodiscard]] policy::ListEntry settle(std::string_view name, policy::ListEntry said);

 private:
  /// A zone that may have the next names in it.
  struct Zone {
    std::string name;
    bool ignores_data = false;
  };
  [[nodiscard]] bool is_ignored(std::string_view name) const noexcept;

  std::vector<Zone> zones_;  // each one's name ends with that of the one before it
};

}  // namespace gatehouse::db
