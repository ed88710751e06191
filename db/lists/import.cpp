// The stages: read the row that is there; tell the format; parse each line, names into tables; sort; check; write the
// list file (temporary name, fsync, rename, fsync of the folder); one transaction for the row; sweep.
#include "db/lists/import.hpp"

#include "db/file/paths.hpp"
#include "db/lists/lines/foreign_content.hpp"
#include "db/lists/lines/line_parser.hpp"
#include "db/lists/lines/line_parts.hpp"
#include "db/lists/lines/line_reader.hpp"
#include "db/lists/list_file_writer.hpp"
#include "db/lists/name_table.hpp"
#include "db/lists/public_suffix.hpp"
#include "db/lists/unbound_zones.hpp"
#include "db/policy/policy_database.hpp"
#include "db/policy/policy_editor.hpp"

#include <gatehouse/base/own_path.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using policy::ListMark;

constexpr std::chrono::milliseconds kReaderTimeout{5000};
constexpr std::size_t kSampleLines = 400;                   // not counting comments
constexpr std::size_t kSampleBytes = std::size_t{4} << 20;  // counting them
constexpr std::uint64_t kProgressLines = 1 << 16;

/// The row of domain_lists as it was.
struct Row {
  std::int64_t id = 0;
  std::string match, action;
  std::uint64_t entries = 0;
};

std::optional<Row> read_row(Database& database, const std::string& name) {
  Statement statement = database.prepare("SELECT id, match, action, entries FROM domain_lists WHERE name = ?1");
  statement.bind(1, name);
  if (!statement.step()) return {};
  return Row{statement.integer(0), statement.text(1), statement.text(2),
             static_cast<std::uint64_t>(statement.integer(3))};
}

/// The group's id; none for none. @throws std::runtime_error
std::optional<std::int64_t> group_id(Database& database, const std::optional<std::string>& name) {
  if (!name) return {};
  Statement statement = database.prepare("SELECT id FROM groups WHERE name = ?1");
  statement.bind(1, *name);
  if (!statement.step())
    throw std::runtime_error("there is no group " + backquoted(*name) + ": `gatehouse policy show groups` shows them");
  return statement.integer(0);
}

/// The names of one list while it is read.
class Gathering {
 public:
  Gathering(int fd, const ImportRequest& request, const std::function<void(const ImportProgress&)>& progress)
      : reader_(fd), request_(request), progress_(progress) {}

  void read(const std::optional<Row>& row);
  void sort();
  void check() const;
  [[nodiscard]] std::string write(const std::filesystem::path& folder, const std::filesystem::path& like) const;

  ImportReport report;

 private:
  void tell_format();
  void take(const LineReader::Line& line, LineParser& parser);
  void take(const ParsedLine::Name& name, std::uint64_t line);
  void lose(bool is_exception, const ImportReport::Finding& finding);
  [[nodiscard]] ListEntry meant(ListEntry entry) const noexcept;
  [[noreturn]] void refuse(const std::string& sentence) const { throw ImportRefused(sentence, report); }

  LineReader reader_;
  const ImportRequest& request_;
  const std::function<void(const ImportProgress&)>& progress_;
  std::vector<std::string> sample_;
  NameTable names_;
  std::uint64_t said_ = 0, junk_ = 0;  // lines that say something, and those of them that are of no list
};

void note(std::vector<ImportReport::Finding>& list, const ImportReport::Finding& finding) {
  if (list.size() < ImportReport::kMostFindings) list.push_back(finding);
}

/// Reads the first lines and keeps them.
void Gathering::tell_format() {
  std::size_t said = 0, bytes = 0;
  while (said < kSampleLines && bytes < kSampleBytes) {
    const auto line = reader_.next();
    if (!line) break;
    sample_.emplace_back(line->text);
    bytes += line->text.size() + 1;
    said += is_blank_or_comment(line->text) ? 0 : 1;
  }
  if (const std::string why = why_no_list(sample_); !why.empty()) refuse(why);
  if (request_.format) {
    report.format = *request_.format;
    return;
  }
  const DetectedFormat found = detect_format(sample_);
  if (!found.format) refuse(found.why_not);
  report.format = *found.format;
}

void Gathering::read(const std::optional<Row>& row) {
  tell_format();
  report.match = row ? row->match : report.format == ListFormat::hosts ? "exact" : "suffix";
  report.match = request_.match.value_or(report.match);
  report.action = request_.action.value_or(row ? row->action : "block");
  report.entries_before = row ? row->entries : 0;
  LineParser parser(report.format);
  std::uint64_t number = 0;
  for (const std::string& text : sample_) take({text, ++number, text.size() >= kLongestLine}, parser);
  sample_ = {};
  while (const auto line = reader_.next()) {
    take(*line, parser);
    if (progress_ && line->number % kProgressLines == 0) progress_({line->number, names_.size(), reader_.bytes()});
  }
  report.lines = reader_.lines();
  report.bytes = reader_.bytes();
  if (const std::size_t lost = parser.open_lines(); lost > 0)
    refuse("the list ends inside the parentheses of the record that begins in line " +
           std::to_string(report.lines - lost + 1) + ": look whether its source is whole");
}

void Gathering::take(const LineReader::Line& line, LineParser& parser) {
  if (line.too_long) {
    ++said_;
    ++junk_;
    ++report.rejected;
    return note(report.rejects, {line.number, "", "is longer than " + std::to_string(kLongestLine >> 10) + " KiB"});
  }
  const ParsedLine& parsed = parser.parse(line.text);
  said_ += parsed.names.empty() && parsed.rejects.empty() ? 0 : 1;
  junk_ += parsed.is_junk && parsed.names.empty() ? 1 : 0;
  for (const ParsedLine::Name& name : parsed.names) take(name, line.number);
  for (const auto& [name, why, is_exception] : parsed.rejects) {
    ++report.rejected;
    const ImportReport::Finding finding{line.number, name, why};
    note(report.rejects, finding);
    lose(is_exception, finding);
  }
}

void Gathering::take(const ParsedLine::Name& name, std::uint64_t line) {
  if (request_.allow_wide || name.entry.below == ListMark::none || !is_registry_suffix(name.text))
    return names_.add(name.text, name.entry);
  // Where `match` leaves it at the name itself, it is to stay so also when somebody edits the row.
  if (const ListEntry entry = meant(name.entry); entry.below == ListMark::none) return names_.add(name.text, entry);
  const ImportReport::Finding finding{
      line, name.text, backquoted(name.text) + " is a public suffix, below which are many owners' domains"};
  ++report.too_wide;
  note(report.wide, finding);
  lose(is_exception(name.entry), finding);
}

void Gathering::lose(bool is_exception, const ImportReport::Finding& finding) {
  if (!is_exception) return;
  ++report.rejected_exceptions;
  note(report.lost_exceptions, finding);
}

/// An entry with what the format leaves open as `match` says.
ListEntry Gathering::meant(ListEntry entry) const noexcept {
  if (report.format == ListFormat::unbound || entry.below != ListMark::open) return entry;
  return report.match == "suffix" ? ListEntry::suffix : ListEntry::exact;
}

/// What is only about the order of entries for one name, once that is settled.
ListEntry without_importance(ListEntry entry) noexcept {
  for (ListMark* const mark : {&entry.at, &entry.below}) {
    if (*mark == ListMark::important) *mark = ListMark::listed;
    if (*mark == ListMark::important_exception) *mark = ListMark::exception;
  }
  return entry;
}

void Gathering::sort() {
  names_.sort();
  report.duplicates = names_.repeated();
  if (report.format == ListFormat::unbound)
    names_.change_each(
        [zones = UnboundZones()](std::string_view name, ListEntry entry) mutable { return zones.settle(name, entry); });
  if (report.format == ListFormat::dnsmasq)
    names_.change_each([](std::string_view, ListEntry entry) { return without_importance(entry); });
  names_.for_each([&](std::string_view, ListEntry entry) {
    report.entries += is_listed(entry) ? 1 : 0;
    report.exceptions += is_exception(entry) ? 1 : 0;
    report.open += entry.below == ListMark::open ? 1 : 0;
  });
  if (report.exceptions == 0)  // nothing that important ones would have to beat
    names_.change_each([](std::string_view, ListEntry entry) { return without_importance(entry); });
}

void Gathering::check() const {
  if (junk_ > said_ - junk_)
    refuse(std::to_string(junk_) + " of " + std::to_string(said_) + " lines are none of a list in the format " +
           std::string(to_text(report.format)) + ": is it the right file and --format? The first one, line " +
           std::to_string(report.rejects.front().line) + ": " + report.rejects.front().why);
  if (request_.allow_shrink) return;
  if (report.entries == 0)
    refuse("the list has no name that can be taken: is it the right file and --format " +
           std::string(to_text(report.format)) + "? With --allow-shrink an empty list is imported");
  if (report.entries < report.entries_before - report.entries_before / 2)
    refuse("the list shrank from " + std::to_string(report.entries_before) + " names to " +
           std::to_string(report.entries) + ": look whether its source is whole, or import with --allow-shrink");
}

std::string Gathering::write(const std::filesystem::path& folder, const std::filesystem::path& like) const {
  ListFileWriter writer(folder, report.format, like);
  names_.for_each([&](std::string_view name, ListEntry entry) { writer.add(name, entry); });
  return writer.finish();
}

void make_folder(const std::filesystem::path& folder, const std::filesystem::path& like) {
  struct stat model {
  }, found{};
  const bool has_model = ::stat(like.c_str(), &model) == 0;
  // Of another user's database the folder above is that user's, who may put another one in its place meanwhile.
  const std::filesystem::path beside = folder.has_parent_path() ? folder.parent_path() : ".";
  const UniqueFd above(::open(beside.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (::mkdirat(above.get(), folder.filename().c_str(), 0750) != 0) {
    if (errno != EEXIST || ::lstat(folder.c_str(), &found) != 0)
      throw std::system_error(errno, std::system_category(), folder.string());
    if (!S_ISDIR(found.st_mode))
      throw std::runtime_error(folder.string() + " is no folder, but compiled lists go there: remove it");
    const std::string why = why_not_own(found, folder, has_model ? model.st_uid : 0);  // whose database it is
    if (!why.empty()) throw std::runtime_error(why);
    return;
  }
  const UniqueFd made(
      ::openat(above.get(), folder.filename().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made || (has_model && ::fchown(made.get(), model.st_uid, model.st_gid) != 0 && errno != EPERM))
    throw std::system_error(errno, std::system_category(), folder.string());
}

void edit_row(const std::filesystem::path& database, const ImportRequest& request, ImportReport& report) {
  PolicyEditor editor(database, request.who);
  const std::optional<std::int64_t> group = group_id(editor.database(), request.group);
  const bool is_there = read_row(editor.database(), request.name).has_value();
  Statement edit = editor.database().prepare(  // one statement, one line in the audit trail
      is_there ? "UPDATE domain_lists SET match = ?2, action = ?3, format = ?4, file = ?5, entries = ?6,"
                 " group_id = coalesce(?7, group_id) WHERE name = ?1"
               : "INSERT INTO domain_lists (name, match, action, format, file, entries, group_id)"
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
  edit.bind(1, request.name);
  edit.bind(2, report.match);
  edit.bind(3, report.action);
  edit.bind(4, to_text(report.format));
  edit.bind(5, report.file);
  edit.bind(6, static_cast<std::int64_t>(report.entries));
  if (group) edit.bind(7, *group);
  static_cast<void>(edit.step());
  Statement named = editor.database().prepare(
      "SELECT groups.name FROM domain_lists JOIN groups ON groups.id = group_id WHERE domain_lists.name = ?1");
  named.bind(1, request.name);
  if (named.step()) report.group = named.text(0);
  named.reset();
  editor.commit();
}

}  // namespace

ImportReport import_list(const std::filesystem::path& database, int fd, const ImportRequest& request,
                         const std::function<void(const ImportProgress&)>& progress) {
  std::optional<Row> row;
  {  // before a long read from a pipe: is it one of ours?
    Database reader = open_policy(database, kReaderTimeout);
    row = read_row(reader, request.name);
    static_cast<void>(group_id(reader, request.group));
  }
  Gathering gathering(fd, request, progress);
  gathering.read(row);
  gathering.sort();
  gathering.check();
  const std::filesystem::path folder = lists_beside(database);
  make_folder(folder, database);
  gathering.report.file = gathering.write(folder, database);
  edit_row(database, request, gathering.report);
  sweep_list_files(database);
  return std::move(gathering.report);
}

}  // namespace gatehouse::db
