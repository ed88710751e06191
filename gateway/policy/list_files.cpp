#include "gateway/policy/list_files.hpp"

#include "db/lists/list_file.hpp"

namespace gatehouse {

OpenedList open_list_file(const std::filesystem::path& path) {
  const auto file = std::make_shared<const db::ListFile>(path);
  return {static_cast<std::size_t>(file->entries()), file->nearest_wins(),
          [file](const OpenedList::Visitor& visit) { file->for_each(visit); },
          [file](std::string_view name) { return file->find(name); }};
}

}  // namespace gatehouse
