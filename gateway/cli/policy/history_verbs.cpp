#include "gateway/cli/policy/history_verbs.hpp"

#include "db/policy/history.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/policy/cell_json.hpp"
#include "gateway/cli/policy/edit/editor_name.hpp"
#include "gateway/cli/render.hpp"

#include <nlohmann/json.hpp>

#include <ostream>
#include <stdexcept>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kLongestWord = 60;  // of a value in one line of history

std::string shown(const std::string& column, const db::Cell& cell) {
  if (const auto* const number = std::get_if<std::int64_t>(&cell))
    return column == "expires_at" ? utc_text(*number) : std::to_string(*number);
  if (const auto* const text = std::get_if<std::string>(&cell)) return text->empty() ? "''" : printable(*text);
  return "NULL";
}

Json to_json(const std::optional<db::RowImage>& image) {
  if (!image) return nullptr;
  Json out = Json::object();
  for (const auto& [name, value] : *image) out[name] = cell_json(value);
  return out;
}

Json to_json(const db::RowChange& change) {
  return {{"table", change.table},
          {"row", change.row},
          {"old_row", to_json(change.old_row)},
          {"new_row", to_json(change.new_row)}};
}

std::string_view verb_of(const db::RowChange& change) {
  if (!change.old_row) return "inserted";
  return change.new_row ? "updated" : "deleted";
}

/// Is the column as it is in most rows, so that it need not be shown?
bool is_plain(const std::string& name, const db::Cell& value) {
  if (name == "id" || std::holds_alternative<std::monostate>(value)) return true;
  if (name == "enabled") return value == db::Cell(std::int64_t{1});
  return value == db::Cell(std::string());
}

std::string cut(std::string text) {
  if (text.size() > kLongestWord) {
    std::size_t end = kLongestWord;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not inside a character
    text = text.substr(0, end) + "...";
  }
  return text;
}

/// "inserted: domain ads.example, match suffix"; "updated: action block -> allow".
std::string in_words(const db::RowChange& change) {
  std::string out;
  const auto add = [&out](const std::string& words) { out += (out.empty() ? ": " : ", ") + words; };
  if (change.old_row && change.new_row) {
    for (const auto& [name, value] : *change.new_row)
      if (const db::Cell was = db::column(*change.old_row, name); was != value)
        add(printable(name) + ' ' + cut(shown(name, was)) + " -> " + cut(shown(name, value)));
  } else if (const auto& image = change.new_row ? change.new_row : change.old_row) {
    for (const auto& [name, value] : *image)
      if (!is_plain(name, value)) add(printable(name) + ' ' + cut(shown(name, value)));
  }
  return std::string(verb_of(change)) + out;
}

void print_change(std::ostream& out, const db::RowChange& change) {
  out << printable(change.table) << ' ' << change.row << ' ' << verb_of(change) << '\n';
  const bool both = change.old_row && change.new_row;
  const db::RowImage& columns = change.new_row ? *change.new_row : *change.old_row;
  std::vector<std::vector<std::string>> lines;
  for (const auto& [name, value] : columns) {
    if (!both && is_plain(name, value)) continue;
    const db::Cell was = change.old_row ? db::column(*change.old_row, name) : db::Cell{};
    if (both && was == value) continue;
    lines.push_back({"  " + printable(name), change.old_row ? shown(name, was) : "-", "->",
                     change.new_row ? shown(name, value) : "-"});
  }
  if (!lines.empty()) out << text_table(lines);
}

}  // namespace

int policy_history_verb(const Invocation& invocation, const HistoryArguments& arguments) {
  std::ostream& out = invocation.out;
  const std::filesystem::path database = policy_db(invocation);
  if (arguments.limit <= 0) throw std::runtime_error("--limit is a number of changes, 1 or more");
  const std::vector<db::Change> changes = db::History(database).newest(arguments.limit);
  if (invocation.json) {
    Json body{{"changes", Json::array()}};
    for (const db::Change& change : changes) {
      Json one{{"number", change.number}, {"time", rfc3339(change.changed_at)}, {"who", change.who}};
      one.update(to_json(change));
      body["changes"].push_back(std::move(one));
    }
    print_json(out, body);
    return kExitYes;
  }
  if (changes.empty()) {
    out << "nothing has been changed yet\n";
    return kExitYes;
  }
  std::vector<std::vector<std::string>> rows{{"NUMBER", "TIME", "WHO", "ROW", "WHAT"}};
  for (const db::Change& change : changes)
    rows.push_back({std::to_string(change.number), utc_text(change.changed_at), printable(change.who),
                    printable(change.table) + ' ' + std::to_string(change.row), in_words(change)});
  out << text_table(rows);
  return kExitYes;
}

int policy_diff_verb(const Invocation& invocation, const DiffArguments& arguments) {
  std::ostream& out = invocation.out;
  const std::optional<std::int64_t> number = arguments.change;
  db::History history(policy_db(invocation));
  const std::optional<std::int64_t> last = history.last_number();
  if (number && (!last || *number > *last || *number < *history.first_number()))
    throw std::runtime_error(
        "there is no change " + std::to_string(*number) +
        (last ? ": the trail has " + std::to_string(*history.first_number()) + " to " + std::to_string(*last)
              : ": nothing has been changed yet"));
  const auto rows = last ? history.net_since(number.value_or(*last)) : std::vector<db::RowChange>();
  if (invocation.json) {
    Json body{{"since", last ? Json(number.value_or(*last)) : Json()}, {"rows", Json::array()}};
    for (const db::RowChange& row : rows) body["rows"].push_back(to_json(row));
    print_json(out, body);
    return kExitYes;
  }
  for (const db::RowChange& row : rows) print_change(out, row);
  if (rows.empty()) out << (last ? "no row differs\n" : "nothing has been changed yet\n");
  return kExitYes;
}

int policy_undo_verb(const Invocation& invocation, const UndoArguments& arguments) {
  std::ostream& out = invocation.out;
  db::PolicyEditor editor(policy_db(invocation), editor_name());
  db::RowChange done;
  try {
    done = db::undo(editor, arguments.change, arguments.force);
    editor.commit();
  } catch (const std::exception& refusal) {
    complain(invocation, printable(refusal.what()));
    return kExitNo;
  }
  if (invocation.json)
    print_json(out, {{"undone", arguments.change}, {"change", to_json(done)}});
  else
    out << "change " << arguments.change << " undone: " << printable(done.table) << ' ' << done.row << ' '
        << in_words(done) << '\n';
  return kExitYes;
}

}  // namespace gatehouse
