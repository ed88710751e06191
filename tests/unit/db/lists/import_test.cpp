#include "db/lists/import.hpp"

#include "db/lists/list_file.hpp"
#include "db/lists/list_file_writer.hpp"
#include "db/policy/history.hpp"
#include "db/policy/policy_database.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <dlfcn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <set>

namespace {

thread_local std::function<void()> on_made;  // what somebody else does as soon as a folder is there

}  // namespace

/// In place of the C library's, in this program.
extern "C" int mkdirat(int above, const char* name, mode_t mode) noexcept {
  static const auto real = reinterpret_cast<int (*)(int, const char*, mode_t)>(dlsym(RTLD_NEXT, "mkdirat"));
  const int result = real(above, name, mode);
  if (result == 0 && on_made) std::exchange(on_made, nullptr)();
  return result;
}
extern "C" int mkdir(const char* path, mode_t mode) noexcept { return mkdirat(AT_FDCWD, path, mode); }

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class Import : public testing::Test {
 protected:
  Import() { static_cast<void>(prepare_policy(path)); }

  ImportReport import(const std::string& text, const ImportRequest& request = plain()) {
    const UniqueFd fd(::memfd_create("text", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::lseek(fd.get(), 0, SEEK_SET);
    return import_list(path, fd.get(), request, {});
  }

  /// The sentence of the refusal, or "" when it was imported.
  std::string refusal(const std::string& text, const ImportRequest& request = plain()) try {
    import(text, request);
    return "";
  } catch (const ImportRefused& refused) {
    EXPECT_EQ(refused.report.file, "");
    return refused.what();
  }

  static ImportRequest plain() {
    return request_with([](ImportRequest&) {});
  }
  static ImportRequest allowing_wide() {
    return request_with([](ImportRequest& request) { request.allow_wide = true; });
  }
  static ImportRequest allowing_shrink() {
    return request_with([](ImportRequest& request) { request.allow_shrink = true; });
  }
  template <class F>
  static ImportRequest request_with(F&& change) {
    ImportRequest request;
    request.name = "ads";
    request.who = "alice";
    change(request);
    return request;
  }

  std::string sql(const std::string& text) {
    std::string out = run_sqlite_shell(path, text);
    if (out.ends_with('\n')) out.pop_back();
    return out;
  }
  std::string row(const std::string& columns) { return sql("SELECT " + columns + " FROM domain_lists"); }
  ListFile file() { return ListFile(lists / row("file")); }

  std::set<std::string> files() {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(lists)) out.insert(entry.path().filename().string());
    return out;
  }
  void age(const std::string& name) {
    std::filesystem::last_write_time(lists / name,
                                     std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  }

  ScratchFolder folder;
  std::filesystem::path path = folder.path() / "policy.db", lists = folder.path() / "lists";
};

std::string many_names(int count, const std::string& prefix = "n") {
  std::string out;
  for (int i = 0; i < count; ++i) out += prefix + std::to_string(i) + ".example.com\n";
  return out;
}

TEST_F(Import, MakesTheRowAndTheFile) {
  const ImportReport report = import(
      "\xef\xbb\xbf"
      "# c\r\n0.0.0.0 a.example.com b.example.com\r\n127.0.0.1 localhost");
  EXPECT_EQ(report.entries, 2U);
  EXPECT_EQ(report.lines, 3U);
  EXPECT_EQ(row("name, group_id IS NULL, action, match, format, entries, enabled"), "ads|1|block|exact|hosts|2|1");
  EXPECT_EQ(row("file"), report.file);
  EXPECT_EQ(file().find("b.example.com"), ListEntry::listed);
  EXPECT_EQ(file().entries(), 2U);
  EXPECT_EQ(file().format(), ListFormat::hosts);
}

TEST_F(Import, CountsDuplicatesAndRejectsWithTheirLines) {
  const ImportReport report = import(
      "||a.example.com^\n! c\n||A.example.com^\n||b.example.com^$third-party\n"
      "@@||c.a.example.com^\n" +
      std::string(70'000, 'x') + "\nexample.com##.ad\n||d.example.com^");
  EXPECT_EQ(report.format, ListFormat::adblock);
  EXPECT_EQ(report.entries, 2U);
  EXPECT_EQ(report.exceptions, 1U);
  EXPECT_EQ(report.duplicates, 1U);
  ASSERT_EQ(report.rejected, 3U);
  EXPECT_EQ(report.rejects[0].line, 4U);
  EXPECT_THAT(report.rejects[0].why, HasSubstr("modifier"));
  EXPECT_EQ(report.rejects[1].line, 6U);
  EXPECT_THAT(report.rejects[1].why, HasSubstr("longer than 64 KiB"));
  EXPECT_EQ(report.rejects[2].line, 7U);
  EXPECT_EQ(report.rejected_exceptions, 0U);
  EXPECT_EQ(file().find("c.a.example.com"), ListEntry::exception);
}

TEST_F(Import, CountsExceptionsThatAreNotTakenApart) {
  const ImportReport report = import(
      "||a.example.com^\n@@||b.example.com^$client=x\n||c.example.com^$client=x\n@@||com^\n||d.example.com^$badfilter\n"
      "@@||e.example.com^\n");
  EXPECT_EQ(report.rejected, 3U);
  EXPECT_EQ(report.too_wide, 1U);
  EXPECT_EQ(report.rejected_exceptions, 3U);
  std::vector<std::uint64_t> lines;
  std::vector<std::string> names;
  for (const auto& [line, name, why] : report.lost_exceptions) {
    lines.push_back(line);
    names.push_back(name);
  }
  EXPECT_EQ(lines, (std::vector<std::uint64_t>{2, 4, 5}));
  EXPECT_EQ(names, (std::vector<std::string>{"@@||b.example.com^$client=x", "com", "||d.example.com^$badfilter"}));
  EXPECT_EQ(report.exceptions, 1U);
}

TEST_F(Import, RefusesAListThatEndsInsideParentheses) {
  const std::string zone = "@ SOA ns. root. 1 2 3 4 5\na.example.com CNAME .\nb.example.com CNAME .\n";
  EXPECT_THAT(refusal(zone + "c.example.com TXT (\nd.example.com CNAME .\n"),
              HasSubstr("ends inside the parentheses of the record that begins in line 4"));
  const ImportReport report = import(zone + "note.example.com TXT \"sad :(\"\nc.example.com CNAME .\n");
  EXPECT_EQ(report.entries, 3U);
  EXPECT_EQ(report.rejected, 1U);
}

TEST_F(Import, KeepsTheFirstHundredRejects) {
  std::string text = "ok.example.com\n";
  for (int i = 0; i < 1000; ++i) text += "ok" + std::to_string(i) + ".example.com\nbad/" + std::to_string(i) + "\n";
  const ImportReport report = import(text, request_with([](auto& request) { request.format = ListFormat::domains; }));
  EXPECT_EQ(report.rejected, 1000U);
  ASSERT_EQ(report.rejects.size(), 100U);
  EXPECT_EQ(report.rejects.back().line, 201U);
}

TEST_F(Import, AnExistingRowKeepsWhatIsNotGiven) {
  sql("INSERT INTO groups (id, name) VALUES (4, 'kids')");
  import("a.example.com\nb.example.com\n", request_with([](auto& request) {
           request.match = "exact";
  request.action = "monitor";
  request.group = "kids";
}));
sql("UPDATE domain_lists SET enabled = 0, comment = 'mine', expires_at = 99");
const std::string id = row("id");
const ImportReport second = import("||a.example.com^\n||c.example.com^\n");
EXPECT_EQ(second.entries_before, 2U);
EXPECT_EQ(second.group, "kids");
EXPECT_EQ(row("id, group_id, action, match, format, entries, enabled, comment, expires_at"),
          id + "|4|monitor|exact|adblock|2|0|mine|99");
  import("||a.example.com^\n||c.example.com^\n", request_with([](auto& request) {
           request.match = "suffix";
  request.action = "block";
  request.group = "everyone";
  }  // namespace
));
EXPECT_EQ(row("group_id, action, match"), "0|block|suffix");
}  // namespace gatehouse::db

TEST_F(Import, RefusesAGroupThatIsNotThereBeforeItReads) {
  try {
    import("a.example.com\n", request_with([](auto& request) { request.group = "nobody";
  }));
  FAIL();
}
catch (const std::runtime_error& error) {
  EXPECT_THAT(error.what(), HasSubstr("there is no group `nobody`"));
}
EXPECT_EQ(row("count(*)"), "0");
}

TEST_F(Import, RefusesAListThatShrankByMoreThanHalf) {
  import(many_names(101));
  const std::string before = row("file, entries");
  EXPECT_THAT(refusal(many_names(50)), StartsWith("the list shrank from 101 names to 50: "));
  EXPECT_EQ(row("file, entries"), before);
  EXPECT_EQ(refusal(many_names(51)), "");
  EXPECT_EQ(row("entries"), "51");
  EXPECT_THAT(refusal(many_names(1), allowing_wide()), StartsWith("the list shrank"));
  EXPECT_EQ(refusal(many_names(1), allowing_shrink()), "");
  EXPECT_EQ(row("entries"), "1");
}

TEST_F(Import, LeavesOutEntriesThatCoverAPublicSuffixAndTakesTheList) {
  const ImportReport report = import("a.example.com\nco.uk\n*.com\nb.example.com\nlan\n", allowing_shrink());
  EXPECT_EQ(row("entries"), "2");
  EXPECT_EQ(report.too_wide, 3U);
  ASSERT_EQ(report.wide.size(), 3U);
  EXPECT_EQ(report.wide[0].line, 2U);
  EXPECT_EQ(report.wide[0].why, "`co.uk` is a public suffix, below which are many owners' domains");
  EXPECT_EQ(report.wide[1].line, 3U);
  EXPECT_THAT(report.wide[1].why, StartsWith("`com`"));
  EXPECT_EQ(report.wide[2].line, 5U);
  EXPECT_THAT(report.wide[2].why, StartsWith("`lan`"));
  EXPECT_EQ(file().find("co.uk"), ListEntry::none);
  EXPECT_EQ(file().find("b.example.com"), ListEntry::listed);
}

TEST_F(Import, LeavesOutExceptionsThatWouldEmptyTheList) {
  const ImportReport report = import("||a.example.com^\n@@||com^\n");
  EXPECT_EQ(report.too_wide, 1U);
  EXPECT_EQ(report.exceptions, 0U);
  EXPECT_EQ(file().find("a.example.com"), ListEntry::suffix);
}

TEST_F(Import, TakesWideEntriesWhereTheyAreAllowedOrExact) {
  const std::string text = "a.example.com\nco.uk\n";
  EXPECT_EQ(import(text, request_with([](auto& request) { request.match = "exact"; })).too_wide, 0U);
  EXPECT_EQ(row("match, entries"), "exact|2");
  EXPECT_EQ(file().find("co.uk"), ListEntry::exact) << "also when the row's match is edited";
  EXPECT_EQ(file().find("a.example.com"), ListEntry::listed);
  sql("DELETE FROM domain_lists");
  EXPECT_EQ(import(text, allowing_wide()).too_wide, 0U);
  EXPECT_EQ(row("match, entries"), "suffix|2");
  EXPECT_EQ(file().find("co.uk"), ListEntry::listed);
}

TEST_F(Import, WhatCompaniesGiveNamesBelowIsOrdinary) {
  const ImportReport report = import(
      "evil.duckdns.org\nduckdns.org\nevil.github.io\ngithub.io\nbad.blogspot.com\n"
      "ec2-192-0-2-1.compute-1.amazonaws.com\nx.s3.amazonaws.com\nhost.elb.amazonaws.com\n");
  EXPECT_EQ(report.too_wide, 0U) << report.wide.front().why;
  EXPECT_EQ(report.entries, 8U);
}

TEST_F(Import, KeepsExactEntriesAndOthersSideBySide) {
  const ImportReport report = import(
      "$ORIGIN rpz.local.\na.example.com CNAME .\nb.example.com CNAME .\n*.b.example.com CNAME .\n"
      "*.c.example.com CNAME .\nd.example.com CNAME rpz-passthru.\n*.d.example.com CNAME .\n");
  EXPECT_EQ(row("format, entries"), "rpz|4");
  EXPECT_EQ(report.duplicates, 0U) << "a name and its wildcard are none";
  EXPECT_EQ(file().find("a.example.com"), ListEntry::exact);
  EXPECT_EQ(file().find("b.example.com"), ListEntry::suffix);
  EXPECT_EQ(file().find("c.example.com"), ListEntry::children);
  EXPECT_EQ(file().find("d.example.com"), (ListEntry{policy::ListMark::exception, policy::ListMark::listed}));
  EXPECT_EQ(file().exceptions(), 1U);
}

TEST_F(Import, ReadsZonesAndDataOfUnboundTogether) {
  const ImportReport report = import(
      "local-data: \"ok.a.example.com A 192.0.2.1\"\nlocal-zone: \"a.example.com\" static\n"
      "local-data: \"ok.b.example.com A 192.0.2.1\"\nlocal-zone: \"b.example.com\" always_nxdomain\n");
  EXPECT_EQ(report.entries, 2U);
  EXPECT_EQ(report.exceptions, 1U);
  EXPECT_EQ(file().find("ok.a.example.com"), ListEntry::exact_exception);
  EXPECT_EQ(file().find("ok.b.example.com"), ListEntry::none) << "its zone ignores data";
}

TEST_F(Import, KeepsWhatIsImportantWhereThereAreExceptions) {
  constexpr auto kImportant = policy::ListMark::important;
  import("||a.example.com^$important\n");
  EXPECT_EQ(file().find("a.example.com"), ListEntry::suffix);
  import("||a.example.com^$important\n@@||example.com^\n");
  EXPECT_EQ(file().find("a.example.com"), (ListEntry{kImportant, kImportant}));
  EXPECT_FALSE(file().nearest_wins());
}

TEST_F(Import, TheLastOfADnsmasqNamesLinesIsNotTheOneThatCounts) {
  import(
      "address=/a.example.com/0.0.0.0\nserver=/a.example.com/#\naddress=/b.example.com/\nserver=/b.example.com/#\n"
      "address=/c.example.com/192.0.2.1\naddress=/c.example.com/\n");
  EXPECT_EQ(file().find("a.example.com"), ListEntry::suffix);
  EXPECT_EQ(file().find("b.example.com"), ListEntry::exception);
  EXPECT_EQ(file().find("c.example.com"), ListEntry::exception);
}

TEST_F(Import, RefusesWhatIsNoList) {
  const auto hosts = request_with([](auto& request) { request.format = ListFormat::hosts; });
  EXPECT_THAT(refusal(""), StartsWith("the list has no lines but comments"));
  EXPECT_THAT(refusal("# c\n"), StartsWith("the list has no lines but comments"));
  const std::string good = many_names(20);
  struct Case {
    std::string text, refusal;
  };
  for (const Case& one :
       {Case{"<!DOCTYPE html>\n<html><body>Not found</body></html>\n", "this is a web page"},
        Case{"\n  <?xml version='1.0'?>\n" + good, "this is a web page"},
        Case{"{\"error\": \"not found\"}\n", "this is JSON"},
        Case{"[\n\"a.example.com\",\n\"b.example.com\"\n]\n", "this is JSON"},
        Case{"[\"a.example.com\"]\n", "this is JSON"}, Case{"\x1f\x8b\x08 junk", "the list is compressed: `zcat"},
        Case{"\xfd"
             "7zXZ junk",
             "the list is compressed: `xzcat"},
        Case{"BZh9 junk", "the list is compressed: `bzcat"},
        Case{good + std::string(3, '\0'), "this is a binary file"}})
    for (const ImportRequest& request : {plain(), hosts, request_with([](auto& r) {
                                           r.format = ListFormat::domains;
                                           r.allow_wide = r.allow_shrink = true;
                                         })})
      EXPECT_THAT(refusal(one.text, request), StartsWith(one.refusal)) << one.text;
  EXPECT_EQ(row("count(*)"), "0");
  EXPECT_FALSE(std::filesystem::exists(lists));
  EXPECT_EQ(refusal("# none yet\n", request_with([](auto& request) {
                      request.format = ListFormat::hosts;
                      request.allow_shrink = true;
                    })),
            "");
  EXPECT_EQ(row("entries"), "0");
  EXPECT_EQ(file().entries(), 0U);
}

TEST_F(Import, RefusesWhatIsMostlyJunk) {
  const auto as = [](ListFormat format) { return request_with([format](auto& request) { request.format = format; }); };
  const std::string words = "The page was not found.\nPlease go back, and try again later!\n";
  for (const ListFormat format : kListFormats) {
    EXPECT_THAT(refusal(words + words + "0.0.0.0 a.example.com\n", as(format)),
                testing::ContainsRegex("^[45] of 5 lines are none of a list in the format"))
        << to_text(format);
  }
  EXPECT_EQ(row("count(*)"), "0");
  EXPECT_EQ(refusal(words + "a.example.com\nb.example.com\n", as(ListFormat::domains)), "");  // half
  // What no gateway can do is no junk.
  EXPECT_EQ(refusal("||a.example.com^\nx.test##.ad\n/banner/\n-ad-\n||b.test^$third-party\n", as(ListFormat::adblock)),
            "");
}

TEST_F(Import, ADatabaseThatIsMissingIsSaidBeforeReading) {
  std::filesystem::remove(path);
  EXPECT_THROW(import("a.example.com\n"), std::exception);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Import, AWriterThatRefusesLeavesTheFormerList) {
  import("a.example.com\n");
  const std::string before = row("file, entries");
  sql("CREATE TRIGGER no BEFORE UPDATE ON domain_lists BEGIN SELECT RAISE(ABORT, 'not now'); END");
  EXPECT_THROW(import("b.example.com\nc.example.com\n"), SqliteError);
  EXPECT_EQ(row("file, entries"), before);
  EXPECT_EQ(file().find("a.example.com"), ListEntry::listed);
}

TEST_F(Import, SweepsOnlyOldFilesThatNobodyNames) {
  const std::string first = import("a.example.com\n").file;
  const std::string second = import("b.example.com\n").file;
  const std::string young = std::string(64, 'a') + ".names", old = std::string(64, 'b') + ".names";
  for (const std::string& name : {young, old, std::string("notes.txt"), std::string(".import-dead")})
    std::ofstream(lists / name) << "x";
  for (const std::string& name : {first, second, old, std::string("notes.txt")}) age(name);
  // Named by an undo of the last change, and by the last good policy; migration 0002's triggers write `changes`.
  sql("DELETE FROM changes");
  sql("INSERT INTO changes (table_name, row_id, old_row, new_row) SELECT 'domain_lists', id, json_object('file', '" +
      first + "'), json_object('file', file) FROM domain_lists");
  const std::string last_good_file = std::string(64, 'c') + ".names";
  std::ofstream(lists / last_good_file) << "x";
  age(last_good_file);
  const auto last_good = folder.path() / "policy.last-good.db";
  std::filesystem::copy_file(path, last_good);
  run_sqlite_shell(last_good, "UPDATE domain_lists SET file = '" + last_good_file + "'");
  std::ofstream busy(lists / ".import-busy");
  const UniqueFd lock(::open((lists / ".import-busy").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);

  sweep_list_files(path);
  EXPECT_EQ(files(), (std::set<std::string>{first, second, young, "notes.txt", last_good_file, ".import-busy"}));

  std::ofstream(last_good) << "not a database";
  std::ofstream(lists / old) << "x";
  age(old);
  sweep_list_files(path);
  EXPECT_TRUE(files().contains(old)) << "deleted without knowing what the last good policy names";
}

TEST_F(Import, GivesNobodyAFolderThatAnotherNameLeadsTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  constexpr uid_t kOwner = 4242;
  const std::filesystem::path at = folder.path() / "at", moved = folder.path() / "moved",
                              other = folder.path() / "other";
  std::filesystem::create_directories(other / "lists");
  std::filesystem::create_directory(at);
  path = at / "policy.db";
  static_cast<void>(prepare_policy(path));
  ASSERT_EQ(::chown(path.c_str(), kOwner, kOwner), 0);
  on_made = [&] {  // whose folder it is
    std::filesystem::rename(at, moved);
    std::filesystem::create_directory_symlink(other, at);
  };
  EXPECT_ANY_THROW(import("a.example\n"));  // there is no policy.db
  struct stat found {};
  ASSERT_EQ(::stat((other / "lists").c_str(), &found), 0);
  EXPECT_EQ(found.st_uid, 0u);
  ASSERT_EQ(::stat((moved / "lists").c_str(), &found), 0);
  EXPECT_EQ(found.st_uid, kOwner);
}

TEST_F(Import, CanBeUndoneThreeTimes) {
  std::vector<std::string> made;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    made.push_back(import(std::string(name) + ".example.com\n").file);
    age(made.back());
    sweep_list_files(path);
  }
  EXPECT_EQ(files(), (std::set<std::string>(made.begin() + 1, made.end())));
  const auto take_back = [&](std::int64_t number) {
    PolicyEditor editor(path, "bob");
    static_cast<void>(undo(editor, number, false));
    editor.commit();
  };
  for (std::int64_t number = 5; number > 2; --number) take_back(number);
  EXPECT_EQ(sql("SELECT file FROM domain_lists"), made[1]);
  try {
    take_back(2);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(made[0] + " was swept"), HasSubstr("import it again")));
  }
  EXPECT_EQ(sql("SELECT file FROM domain_lists"), made[1]);
}

TEST_F(Import, IsOneChangeByTheOneWhoAsked) {
  import("a.example.com\n");
  import(many_names(1000));
  sql("CREATE TABLE seen (who TEXT)");
  sql("CREATE TRIGGER see AFTER UPDATE ON domain_lists BEGIN INSERT INTO seen SELECT editor FROM meta; END");
  import(many_names(1000, "m"));
  EXPECT_EQ(sql("SELECT group_concat(who) FROM seen"), "alice");
}

TEST_F(Import, TakesTwoHundredThousandNamesQuickly) {
  const std::string text = many_names(200'000);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(import(text).entries, 200'000U);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10))
      << "about half a second alone, in release";
}

}  // namespace
}  // namespace gatehouse::db
