#include "gateway/cli/policy/list_lookup.hpp"

#include "db/lists/list_file.hpp"
#include "policy/match/name_suffixes.hpp"

namespace gatehouse {
namespace {

std::shared_ptr<const policy::NameSet> names_about(const db::ListFile& file, const policy::NameSuffixes& suffixes,
                                                   const policy::HashSeed& seed) {
  policy::HashedNames names;
  names.nearest_wins = file.nearest_wins();
  for (std::size_t i = 0; i < suffixes.count(); ++i) names.add(suffixes.text(i), file.find(suffixes.text(i)), seed);
  return policy::NameSet::build(std::move(names));
}

std::filesystem::path find_list(const std::string& file, const std::filesystem::path& database,
                                const std::filesystem::path& more) {
  const std::filesystem::path own = database.parent_path() / "lists" / file;
  std::error_code ignored;
  return more.empty() || std::filesystem::exists(own, ignored) ? own : more / file;
}

}  // namespace

policy::Lists lists_about(const std::filesystem::path& database, const policy::Model& model, const std::string& name,
                          const std::filesystem::path& more) {
  policy::Lists out;
  const policy::NameSuffixes suffixes(name, out.seed);
  for (const policy::DomainList& row : model.domain_lists) {
    if (row.file.empty()) continue;
    policy::ListFileState& state = out.by_file[row.file];
    try {
      state.names = names_about(db::ListFile(find_list(row.file, database, more)), suffixes, out.seed);
    } catch (const std::exception& error) {
      state.failure = error.what();
    }
  }
  return out;
}

}  // namespace gatehouse
