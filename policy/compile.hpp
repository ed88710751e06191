// From rows to a snapshot: judges what a database schema cannot (a CIDR, a port list, a name) and leaves out what it
// cannot read. Pure; thread-safe; allocates.
#pragma once

#include "policy/lists/name_set.hpp"
#include "policy/model.hpp"
#include "policy/snapshot.hpp"
#include "policy/surroundings.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::policy {

/// A row that is not in force, and why; or one that is, and is most likely not what is meant.
struct Problem {
  std::string table;
  std::int64_t row = 0;
  std::string sentence;  ///< what is wrong, and what to write instead
  bool is_deny = false;  ///< a deny or block that somebody counts on
  bool in_force = false;
  bool operator==(const Problem&) const = default;
};

/// One file of `lists/`, as far as it could be read.
struct ListFileState {
  std::shared_ptr<const NameSet> names;          ///< null: see `failure`
  std::string failure;                           ///< a sentence: why there is nothing to judge with
  std::shared_ptr<const Mismatches> mismatches;  ///< what `names` is wrong about; null = nothing known
};

/// The compiled lists, by file name as in DomainList::file, all hashed with one seed.
struct Lists {
  HashSeed seed;
  std::map<std::string, ListFileState, std::less<>> by_file;
};

struct Compiled {
  std::shared_ptr<const Snapshot> snapshot;  ///< never nullptr
  std::vector<Problem> problems;             ///< by table and row
  bool degraded = false;                     ///< one of them is a deny or block
  std::optional<std::int64_t> next_expiry;   ///< Unix seconds: when to compile again, for a row expires then
};

/// @param now    Unix seconds, UTC: rows that have expired are left out
/// @param lists  what the rows of domain_lists name; a file that is not there is a problem of its row
[[nodiscard]] Compiled compile(const Model& model, const Surroundings& surroundings, std::uint64_t generation,
                               std::int64_t now, const Lists& lists = {});

}  // namespace gatehouse::policy
