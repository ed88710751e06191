// The shelf of compiled lists, over files whose reading the test holds in its hand.
#include "gateway/policy/list_shelf.hpp"
#include "tests/unit/db/scratch.hpp"
#include "tests/unit/gateway/base/log_message_matchers.hpp"

#include <gmock/gmock.h>

#include <sys/resource.h>

#include <fstream>
#include <set>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;
using policy::DomainList;
using policy::ListEntry;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

constexpr policy::HashSeed kSeed{0x1234, 0x5678};

/// Files of one name a line, with "@" before an exception, and "?" before one that is read but cannot be found again.
class Shelf : public testing::Test {
 protected:
  Shelf() { std::filesystem::create_directory(folder.path() / "lists"); }

  OpenedList open(const std::filesystem::path& path) {
    ++opened;
    nice = ::getpriority(PRIO_PROCESS, 0);
    std::unique_lock lock(mutex);
    go.wait(lock, [&] { return !held.contains(path.filename()); });
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path.filename().string() + " is missing: import the list again");
    auto entries = std::make_shared<std::vector<std::string>>();
    for (std::string line; std::getline(file, line);) entries->push_back(line);
    if (!entries->empty() && entries->back() == "cut") throw std::runtime_error(path.filename().string() + " is cut");
    OpenedList out;
    out.entries = entries->size();
    out.for_each = [entries](const OpenedList::Visitor& visit) {
      for (const std::string& entry : *entries)
        visit(entry.substr(entry.find_first_not_of("@?")),
              entry.starts_with('@') ? ListEntry::exception : ListEntry::listed);
    };
    out.find = [entries](std::string_view name) {
      for (const std::string& entry : *entries) {
        if (entry == name) return ListEntry::listed;
        if (entry.starts_with('@') && entry.substr(1) == name) return ListEntry::exception;
      }
      return ListEntry::none;
    };
    return out;
  }
  /// As an import does: whoever reads it has all of it.
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder.path() / "part") << text;
    std::filesystem::rename(folder.path() / "part", folder.path() / "lists" / name);
  }
  void hold(const std::string& name) {
    const std::scoped_lock lock(mutex);
    held.insert(name);
  }
  void release() {
    const std::scoped_lock lock(mutex);
    held.clear();
    go.notify_all();
  }
  static DomainList row(std::int64_t id, const std::string& file, bool enabled = true) {
    return {id, "list" + std::to_string(id), {}, "suffix", "block", file, {enabled, {}}};
  }
  /// "a.test" -> has the file as it is handed to compile() that name?
  ListEntry entry(const std::string& file, std::string_view name) {
    const policy::Lists lists = shelf->lists();
    const auto found = lists.by_file.find(file);
    if (found == lists.by_file.end() || !found->second.names) return ListEntry::none;
    return found->second.names->find(policy::hash_name(name, lists.seed));
  }
  std::vector<std::string> states() {
    std::vector<std::string> out;
    for (const ListStatus& one : shelf->status())
      out.push_back(std::to_string(one.row) + " " + one.state + " " + std::to_string(one.names));
    return out;
  }
  template <class Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(10ms))
      if (condition()) return true;
    return false;
  }
  bool settled() {
    return soon([&] { return shelf->changed(); });
  }

  ScratchFolder folder;
  std::atomic<int> opened{0};
  std::atomic<int> nice{-100};  // of the thread that opened one
  std::mutex mutex;
  std::condition_variable go;
  std::set<std::string> held;
  struct Release {  // before the shelf's thread is joined
    Shelf& test;
    ~Release() { test.release(); }
  };
  std::unique_ptr<ListShelf> shelf = std::make_unique<ListShelf>(
      folder.path() / "lists", kSeed, [this](const std::filesystem::path& path) { return open(path); });
  Release last{*this};
};

TEST_F(Shelf, CompilesAFileOnceForAllItsRows) {
  write("one", "a.test\nb.test\n@x.a.test\n");
  shelf->use_rows({row(1, "one"), row(2, "one"), row(3, "")});
  shelf->wait();
  EXPECT_EQ(shelf->lists().seed, kSeed);
  EXPECT_EQ(entry("one", "a.test"), ListEntry::listed);
  EXPECT_EQ(entry("one", "x.a.test"), ListEntry::exception);
  EXPECT_EQ(entry("one", "c.test"), ListEntry::none);
  const auto names = shelf->lists().by_file.at("one").names;
  shelf->use_rows({row(1, "one")});
  EXPECT_EQ(shelf->lists().by_file.at("one").names, names);
  EXPECT_EQ(opened, 1);
  EXPECT_THAT(states(), ElementsAre("1 in force 3"));
  EXPECT_THAT(shelf->take_messages(), Contains(log_info(HasSubstr("lists/one: 3 names"))));
}

TEST_F(Shelf, LeavesTheFormerFileInForceWhileTheNewOneIsCompiled) {
  write("one", "a.test\n");
  write("two", "b.test\n");
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  static_cast<void>(shelf->lists());
  hold("two");
  shelf->use_rows({row(1, "two"), row(2, "two")});
  EXPECT_EQ(entry("two", "a.test"), ListEntry::listed);
  EXPECT_THAT(states(), ElementsAre("1 compiling 1", "2 compiling 0"));
  EXPECT_THAT(shelf->compiling(), ElementsAre(HasSubstr("former names"), HasSubstr("blocks nothing yet")));
  EXPECT_THAT(shelf->failures(), IsEmpty());
  release();
  ASSERT_TRUE(soon([&] { return entry("two", "b.test") == ListEntry::listed; }));
  EXPECT_EQ(entry("two", "a.test"), ListEntry::none);
  EXPECT_THAT(states(), ElementsAre("1 in force 1", "2 in force 1"));
}

TEST_F(Shelf, LeavesTheFormerFileInForceForARowThatWasReplaced) {
  write("one", "a.test\n");
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  static_cast<void>(shelf->lists());
  hold("two");
  DomainList other = row(9, "two");
  other.name = "list1";  // INSERT OR REPLACE gives another id
  shelf->use_rows({other});
  EXPECT_EQ(entry("two", "a.test"), ListEntry::listed);
}

TEST_F(Shelf, HandsOutABrandNewListWithoutNamesUntilItIsCompiled) {
  hold("one");
  write("one", "a.test\n");
  shelf->use_rows({row(1, "one")});
  EXPECT_TRUE(shelf->lacks_names());
  EXPECT_NE(shelf->lists().by_file.at("one").names, nullptr);  // so that it is no problem of its row
  EXPECT_EQ(entry("one", "a.test"), ListEntry::none);
  EXPECT_FALSE(shelf->changed());
  release();
  EXPECT_TRUE(settled());
  EXPECT_FALSE(shelf->lacks_names());
  EXPECT_EQ(entry("one", "a.test"), ListEntry::listed);
}

TEST_F(Shelf, DoesNotWaitForADisabledRowAndCompilesItAll) {
  hold("one");
  write("one", "a.test\n");
  shelf->use_rows({row(1, "one", false)});
  shelf->wait();
  release();
  EXPECT_TRUE(soon([&] { return entry("one", "a.test") == ListEntry::listed; }));
}

TEST_F(Shelf, SaysWhyAFileCannotBeReadAndReadsItOnceItIsMended) {
  write("one", "a.test\ncut\n");
  shelf->use_rows({row(1, "one"), row(2, "none"), row(3, "../one")});
  shelf->wait();
  const auto lists = shelf->lists().by_file;
  EXPECT_EQ(lists.at("one").names, nullptr);
  EXPECT_EQ(lists.at("one").failure, "one is cut");
  EXPECT_THAT(lists.at("none").failure, HasSubstr("missing"));
  EXPECT_THAT(lists.at("../one").failure, HasSubstr("not the name of a file"));
  EXPECT_THAT(states(), ElementsAre("1 failed 0", "2 failed 0", "3 failed 0"));
  EXPECT_THAT(shelf->take_messages(), Contains(log_warning(HasSubstr("one is cut"))));
  EXPECT_FALSE(shelf->changed());
  write("one", "a.test\nb.test\n");
  ASSERT_TRUE(settled());
  EXPECT_EQ(entry("one", "b.test"), ListEntry::listed);
}

TEST_F(Shelf, KeepsTheFormerFileWhenTheNewOneIsBroken) {
  write("one", "a.test\n");
  write("two", "cut\n");
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  static_cast<void>(shelf->lists());
  shelf->use_rows({row(1, "two")});
  ASSERT_TRUE(soon([&] { return !shelf->failures().empty(); }));
  EXPECT_THAT(shelf->failures(), ElementsAre(HasSubstr("two is cut; its former names stay in force")));
  EXPECT_EQ(entry("two", "a.test"), ListEntry::listed);
}

TEST_F(Shelf, FreesWhatNoRowAndNoSnapshotNames) {
  write("one", "a.test\n");
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  policy::Lists snapshot = shelf->lists();
  const std::weak_ptr<const policy::NameSet> names = snapshot.by_file.at("one").names;
  shelf->use_rows({});
  EXPECT_THAT(shelf->lists().by_file, IsEmpty());
  EXPECT_FALSE(names.expired());
  snapshot = {};
  EXPECT_TRUE(names.expired());
  EXPECT_THAT(states(), IsEmpty());
}

TEST_F(Shelf, EndsInTheMiddleOfAFile) {
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "n" + std::to_string(i) + ".test\n";
  write("one", many);
  shelf->use_rows({row(1, "one")});
  shelf.reset();
}

TEST_F(Shelf, ExceptsANameThatTheFileDoesNotHave) {
  write("one", "a.test\n?collides.test\n");  // its hash is in the compiled set, the name is not in the file
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  EXPECT_EQ(entry("one", "collides.test"), ListEntry::listed);
  shelf->check(1, "www.a.test");
  shelf->check(1, "www.collides.test");
  shelf->check(1, "www.collides.test");
  shelf->check(2, "collides.test");  // no such row
  ASSERT_TRUE(settled());
  const auto mismatches = shelf->lists().by_file.at("one").mismatches;
  ASSERT_TRUE(mismatches);
  EXPECT_THAT(*mismatches, ElementsAre(Pair("collides.test", ListEntry::none)));
  EXPECT_EQ(shelf->mismatches(), 1u);
  EXPECT_THAT(shelf->take_messages(), Contains(log_warning(HasSubstr("lists/one: a name was judged by"))));
  EXPECT_THAT(shelf->take_corrected(), ElementsAre("lists/one: collides.test"));
}

TEST_F(Shelf, LooksAHitUpAgainInAFileThatCameBack) {
  write("one", "?collides.test\n");
  for (int round = 0; round < 2; ++round) {
    shelf->use_rows({row(1, "one")});
    shelf->wait();
    static_cast<void>(shelf->lists());
    shelf->check(1, "collides.test");
    ASSERT_TRUE(settled()) << round;
    ASSERT_TRUE(shelf->lists().by_file.at("one").mismatches) << round;
    shelf->use_rows({});
    static_cast<void>(shelf->lists());
  }
}

TEST_F(Shelf, TriesABrokenFileAgainOnlyWhenItHasChanged) {
  write("one", "cut\n");
  std::filesystem::last_write_time(folder.path() / "lists" / "one", std::filesystem::file_time_type::clock::now() - 1h);
  write("two", "a.test\n");
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  EXPECT_EQ(opened, 1);
  static_cast<void>(shelf->changed());
  shelf->use_rows({row(1, "one"), row(2, "two")});
  shelf->wait();
  EXPECT_EQ(opened, 2) << "the first would have come before the second";
  write("one", "a.test\n");
  EXPECT_TRUE(soon([&] {
    static_cast<void>(shelf->changed());
    return opened == 3;
  }));
}

TEST_F(Shelf, TriesABrokenFileAgainWhoseTimeIsTooNewToTellTwoWritesApart) {
  const auto now = std::filesystem::file_time_type::clock::now() + 2s;  // old in five seconds
  const auto rewrite = [&](const std::string& text) {                   // in place, within one step of a coarse clock
    write("one", text);
    std::filesystem::last_write_time(folder.path() / "lists" / "one", now);
  };
  rewrite("cut\n");
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  static_cast<void>(shelf->lists());
  rewrite("a.b\n");
  ASSERT_TRUE(settled());
  EXPECT_EQ(entry("one", "a.b"), ListEntry::listed);
}

TEST_F(Shelf, LetsLanesGoFirst) {
  const int mine = ::getpriority(PRIO_PROCESS, 0);
  write("one", "a.test\n");
  shelf->use_rows({row(1, "one")});
  shelf->wait();
  EXPECT_EQ(nice, std::max(mine, 10)) << "a gateway that yields already yields no less";
  EXPECT_EQ(::getpriority(PRIO_PROCESS, 0), mine) << "of that thread alone";
}

}  // namespace
}  // namespace gatehouse
