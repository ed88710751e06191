#include "db/policy/history.hpp"

#include "db/file/paths.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>

namespace gatehouse::db {
namespace {

constexpr std::chrono::milliseconds kReaderTimeout{1000};

/// Takes rows of JSON apart.
class ImageReader {
 public:
  explicit ImageReader(Database& database) : each_(database.prepare("SELECT key, value FROM json_each(?1)")) {}

  std::optional<RowImage> read(const std::optional<std::string>& json) {
    if (!json) return {};
    RowImage out;
    each_.reset();
    each_.bind(1, *json);
    while (each_.step()) out.emplace_back(each_.text(0), each_.cell(1));
    return out;
  }

 private:
  Statement each_;
};

std::vector<Change> read_changes(Database& database, Statement& found) {
  ImageReader images(database);
  std::vector<Change> out;
  std::size_t bytes = 0;
  while (found.step()) {
    for (const int image : {5, 6}) bytes += found.text(image).size();
    if (bytes > PolicyDatabase::kMostBytes)
      throw std::runtime_error(database.path().string() + ": so many changes have more than " +
                               std::to_string(PolicyDatabase::kMostBytes >> 20U) + " MiB: ask for fewer");
    Change change;
    change.number = found.integer(0);
    change.changed_at = found.integer(1);
    change.who = found.text(2);
    change.table = found.text(3);
    change.row = found.integer(4);
    change.old_row = images.read(found.optional_text(5));
    change.new_row = images.read(found.optional_text(6));
    out.push_back(std::move(change));
  }
  return out;
}

constexpr std::string_view kColumns =
    "SELECT id, changed_at, who, table_name, row_id, old_row, new_row FROM changes WHERE ";

Change find(Database& database, std::int64_t number) {
  Statement found = database.prepare(std::string(kColumns) + "id = ?1");
  found.bind(1, number);
  std::vector<Change> all = read_changes(database, found);
  if (all.empty())
    throw std::runtime_error("there is no change " + std::to_string(number) + ": see `gatehouse policy history`");
  const auto tables = policy_tables();
  if (std::find(tables.begin(), tables.end(), all[0].table) == tables.end())
    throw std::runtime_error("change " + std::to_string(number) + " names no table of the policy");
  return std::move(all[0]);
}

std::optional<RowImage> current_row(Database& database, const std::string& table, std::int64_t id) {
  Statement found = database.prepare("SELECT row FROM " + table + "_rows WHERE id = ?1");
  found.bind(1, id);
  if (!found.step()) return {};
  return ImageReader(database).read(found.text(0));
}

std::int64_t id_of(const RowImage& image) {
  const Cell id = column(image, "id");
  const auto* const number = std::get_if<std::int64_t>(&id);
  return number ? *number : 0;
}

/// Only the columns that the table still has.
RowImage known_columns(Database& database, const std::string& table, RowImage image) {
  Statement found = database.prepare("SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2");
  std::erase_if(image, [&](const auto& one) {
    found.reset();
    found.bind(1, table);
    found.bind(2, one.first);
    return !found.step() || found.integer(0) == 0;
  });
  return image;
}

void bind_all(Statement& statement, const RowImage& image) {
  int at = 1;
  for (const auto& [name, value] : image) statement.bind_value(at++, value);
}

std::string joined(const RowImage& image, const char* after_name) {
  std::string out;
  for (const auto& [name, value] : image) out += (out.empty() ? "" : ", ") + name + after_name;
  return out;
}

void remove_row(Database& database, const std::string& table, std::int64_t id) {
  Statement statement = database.prepare("DELETE FROM " + table + " WHERE id = ?1");
  statement.bind(1, id);
  static_cast<void>(statement.step());
}

void insert_row(Database& database, const std::string& table, const RowImage& image) {
  std::string places;
  for (std::size_t i = 0; i < image.size(); ++i) places += i == 0 ? "?" : ", ?";
  Statement statement =
      database.prepare("INSERT INTO " + table + " (" + joined(image, "") + ") VALUES (" + places + ")");
  bind_all(statement, image);
  static_cast<void>(statement.step());
}

void update_row(Database& database, const std::string& table, std::int64_t id, RowImage values) {
  if (values.empty()) return;
  const std::string sets = joined(values, " = ?");
  values.emplace_back("id", id);
  Statement statement = database.prepare("UPDATE " + table + " SET " + sets + " WHERE id = ?");
  bind_all(statement, values);
  static_cast<void>(statement.step());
}

/// The columns of `old_row` that differ from `new_row`.
RowImage differing(const RowImage& old_row, const RowImage& new_row) {
  RowImage out;
  for (const auto& [name, value] : old_row)
    if (column(new_row, name) != value) out.emplace_back(name, value);
  return out;
}

/// A column that an image does not have, since the table had none when it was made, is NULL there.
bool same_row(const std::optional<RowImage>& a, const std::optional<RowImage>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return differing(*a, *b).empty() && differing(*b, *a).empty();
}

/// A list whose file is gone would be a row that blocks nothing.
/// @throws std::runtime_error
void must_have_its_file(const Database& database, const Change& change, const std::optional<RowImage>& now) {
  if (change.table != "domain_lists" || !change.old_row) return;
  const Cell file = column(*change.old_row, "file");
  const auto* const name = std::get_if<std::string>(&file);
  if (!name || name->empty() || (now && column(*now, "file") == file)) return;
  if (!std::filesystem::exists(lists_beside(database.path()) / *name))
    throw std::runtime_error("the list file " + *name + " was swept, as a list's last three are kept: import it again");
}

}  // namespace

Cell column(const RowImage& image, std::string_view name) {
  const auto found = std::find_if(image.begin(), image.end(), [&](const auto& one) { return one.first == name; });
  return found == image.end() ? Cell{} : found->second;
}

History::History(const std::filesystem::path& path)
    : database_(open_policy(path, kReaderTimeout)),
      limit_(database_, PolicyDatabase::kPatience, nullptr),
      transaction_(database_, Transaction::Kind::read) {
  must_be_tables(database_);
}

std::vector<Change> History::select(std::string_view condition, std::int64_t value) {
  Statement found = database_.prepare(std::string(kColumns) + std::string(condition));
  found.bind(1, value);
  return read_changes(database_, found);
}

std::vector<Change> History::newest(std::int64_t limit) { return select("1 ORDER BY id DESC LIMIT ?1", limit); }

std::optional<std::int64_t> History::last_number() {
  Statement found = database_.prepare("SELECT max(id) FROM changes");
  return found.step() ? found.optional_integer(0) : std::nullopt;
}

std::optional<std::int64_t> History::first_number() {
  Statement found = database_.prepare("SELECT min(id) FROM changes");
  return found.step() ? found.optional_integer(0) : std::nullopt;
}

std::vector<RowChange> History::net_since(std::int64_t number) {
  std::vector<RowChange> out;
  std::map<std::pair<std::string, std::int64_t>, std::size_t> places;  // where the row with that id now is in `out`
  for (Change& change : select("id >= ?1 ORDER BY id", number)) {
    const std::int64_t was = change.old_row ? id_of(*change.old_row) : change.row;
    const auto found = places.find({change.table, was});
    if (found == places.end()) {
      places[{change.table, change.row}] = out.size();
      out.push_back(std::move(change));
      continue;
    }
    const std::size_t place = found->second;
    places.erase(found);
    places[{change.table, change.row}] = place;
    out[place].row = change.row;
    out[place].new_row = std::move(change.new_row);
  }
  std::erase_if(out, [](const RowChange& row) { return same_row(row.old_row, row.new_row); });
  return out;
}

RowChange undo(PolicyEditor& editor, std::int64_t number, bool force) {
  Database& database = editor.database();
  Change change = find(database, number);
  const std::string row_name = change.table + " " + std::to_string(change.row);
  const std::optional<RowImage> now = current_row(database, change.table, change.row);
  if (same_row(now, change.old_row))
    throw std::runtime_error(row_name + " is as it was before change " + std::to_string(number) +
                             ": there is nothing to undo");
  if (!same_row(now, change.new_row) && !force)
    throw std::runtime_error(row_name + (now ? " has been changed" : " has been deleted") + " since change " +
                             std::to_string(number) + ": undo the later change first, or give --force");
  must_have_its_file(database, change, now);
  if (!change.old_row) {
    remove_row(database, change.table, change.row);
  } else if (!now) {
    insert_row(database, change.table, known_columns(database, change.table, *change.old_row));
  } else {
    RowImage values = differing(*change.old_row, change.new_row ? *change.new_row : *now);
    update_row(database, change.table, change.row, known_columns(database, change.table, std::move(values)));
  }
  RowChange done{change.table, change.old_row ? id_of(*change.old_row) : change.row, now, {}};
  done.new_row = current_row(database, done.table, done.row);
  return done;
}

}  // namespace gatehouse::db
