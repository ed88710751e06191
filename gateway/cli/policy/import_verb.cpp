#include "gateway/cli/policy/import_verb.hpp"

#include "db/lists/import.hpp"
#include "gateway/cli/policy/edit/editor_name.hpp"
#include "gateway/cli/render.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <system_error>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;
using db::ImportReport;

constexpr std::size_t kShownRejects = 10;

UniqueFd open_list(const std::string& file) {
  UniqueFd fd(file == "-" ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : ::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::system_category(), file);
  struct stat found {};
  if (::fstat(fd.get(), &found) == 0 && S_ISDIR(found.st_mode))
    throw std::system_error(EISDIR, std::system_category(), file);
  return fd;
}

std::string megabytes(std::uint64_t bytes) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << static_cast<double>(bytes) / 1e6;
  return out.str();
}

/// One line on a terminal, written over at most ten times a second and gone at the end.
class ProgressLine {
 public:
  ProgressLine(std::ostream& err, int fd) : err_(err) {
    struct stat found {};
    if (::fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) total_ = static_cast<std::uint64_t>(found.st_size);
  }
  ~ProgressLine() {
    if (shown_) err_ << "\r\x1b[K" << std::flush;
  }
  void show(const db::ImportProgress& progress) {
    const auto now = std::chrono::steady_clock::now();
    if (shown_ && now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    shown_ = true;
    err_ << "\r\x1b[K" << progress.lines << " lines, " << progress.names << " names, " << megabytes(progress.bytes);
    if (total_ > 0) err_ << " of " << megabytes(total_);
    err_ << " MB" << std::flush;
  }

 private:
  std::ostream& err_;
  std::uint64_t total_ = 0;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

Json findings(const std::vector<ImportReport::Finding>& all) {
  Json out = Json::array();
  for (const auto& one : all) out.push_back({{"line", one.line}, {"name", one.name}, {"why", one.why}});
  return out;
}

Json to_json(const std::string& name, const ImportReport& report) {
  Json body{{"name", name}, {"format", db::to_text(report.format)}, {"match", report.match}, {"action", report.action}};
  body["group"] = report.group.empty() ? Json() : Json(report.group);
  body["file"] = report.file.empty() ? Json() : Json(report.file);
  body["entries"] = report.entries;
  body["entries_before"] = report.entries_before;
  body["exceptions"] = report.exceptions;
  body["duplicates"] = report.duplicates;
  body["lines"] = report.lines;
  body["rejected"] = report.rejected;
  body["rejects"] = findings(report.rejects);
  body["too_wide"] = report.too_wide;
  body["wide"] = findings(report.wide);
  body["rejected_exceptions"] = report.rejected_exceptions;
  body["lost_exceptions"] = findings(report.lost_exceptions);
  body["open"] = report.open;
  return body;
}

void print_findings(std::ostream& out, const std::vector<ImportReport::Finding>& all, std::uint64_t count) {
  for (std::size_t i = 0; i < std::min(all.size(), kShownRejects); ++i)
    out << "  line " << all[i].line << ": " << printable(all[i].why) << '\n';
  if (count > std::min(all.size(), kShownRejects))
    out << "  and " << count - std::min(all.size(), kShownRejects) << " more (--json shows the first "
        << ImportReport::kMostFindings << ")\n";
}

void print(std::ostream& out, const ImportReport& report) {
  out << "  " << report.lines << " lines: " << report.entries << " names, " << report.exceptions << " exceptions, "
      << report.duplicates << " duplicates, " << report.rejected << " rejected\n";
  print_findings(out, report.rejects, report.rejected);
  if (report.rejected_exceptions > 0) {
    out << "  " << report.rejected_exceptions << " exceptions not taken: what they leave alone is blocked\n";
    print_findings(out, report.lost_exceptions, report.rejected_exceptions);
  }
  if (report.too_wide == 0) return;
  out << "  " << report.too_wide << " too wide and left out (--allow-wide takes them)\n";
  print_findings(out, report.wide, report.too_wide);
}

/// Is the list in force as it was published, but for blocks that no gateway can do?
int exit_status(const Invocation& invocation, const std::string& name, const ImportReport& report) {
  if (report.rejected_exceptions > 0)
    complain(invocation, name + ": " + std::to_string(report.rejected_exceptions) +
                             " exceptions could not be taken, so that more is blocked than the list says; the first, "
                             "line " +
                             std::to_string(report.lost_exceptions.front().line) + ": " +
                             report.lost_exceptions.front().why);
  return report.too_wide > 0 || report.rejected_exceptions > 0 ? kExitPartly : kExitYes;
}

db::ImportRequest to_request(const ImportArguments& arguments) {
  const auto given = [](const std::string& text) {
    return text.empty() ? std::optional<std::string>() : std::optional(text);
  };
  return {arguments.name,
          db::list_format(arguments.format),
          given(arguments.match),
          given(arguments.action),
          given(arguments.group),
          arguments.allow_wide || arguments.force,
          arguments.allow_shrink || arguments.force,
          editor_name()};
}

}  // namespace

int policy_import_verb(const Invocation& invocation, const ImportArguments& arguments) try {
  std::ostream& out = invocation.out;
  const std::filesystem::path database = policy_db(invocation);
  const UniqueFd fd = open_list(arguments.file);
  ImportReport report;
  {
    ProgressLine line(invocation.err, fd.get());
    std::function<void(const db::ImportProgress&)> progress;
    if (::isatty(STDERR_FILENO) == 1) progress = [&line](const db::ImportProgress& now) { line.show(now); };
    report = db::import_list(database, fd.get(), to_request(arguments), progress);
  }
  if (invocation.json) {
    print_json(out, to_json(arguments.name, report));
    return exit_status(invocation, arguments.name, report);
  }
  out << arguments.name << ": " << report.entries << " names in force (" << db::to_text(report.format) << ", match "
      << report.match << ", action " << report.action << (report.group.empty() ? "" : ", group " + report.group) << ")";
  if (report.entries_before > 0) out << ", before " << report.entries_before;
  out << '\n';
  print(out, report);
  if (!arguments.match.empty() && report.open == 0)
    out << "  --match changes nothing: this list says of each name whether those below it are meant\n";
  return exit_status(invocation, arguments.name, report);
} catch (const db::ImportRefused& refused) {
  if (invocation.json) {
    Json body = to_json(arguments.name, refused.report);
    body["refused"] = refused.what();
    print_json(invocation.out, body);
  } else {
    print(invocation.out, refused.report);
  }
  complain(invocation, arguments.name + " is not imported, the list stays as it was: " + refused.what());
  return kExitNo;
}

}  // namespace gatehouse
