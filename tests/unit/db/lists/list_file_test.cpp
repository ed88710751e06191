#include "db/lists/list_file.hpp"

#include "db/lists/lines/line_reader.hpp"
#include "db/lists/list_file_writer.hpp"
#include "db/lists/name_table.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gmock/gmock.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <random>

namespace gatehouse::db {
namespace {

using policy::ListEntry;
using testing::HasSubstr;

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

UniqueFd memory_file(std::string_view content) {
  UniqueFd fd(::memfd_create("list", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
  return fd;
}

using Names = std::map<std::string, ListEntry>;

std::string write_list(const std::filesystem::path& folder, const std::vector<std::string>& entries,
                       const std::vector<std::string>& exceptions) {
  NameTable table;
  for (const std::string& name : entries) table.add(name, ListEntry::listed);
  for (const std::string& name : exceptions) table.add(name, ListEntry::exception);
  table.sort();
  ListFileWriter writer(folder, ListFormat::adblock, folder);
  table.for_each([&](std::string_view name, ListEntry entry) { writer.add(name, entry); });
  return writer.finish();
}

Names read_list(const ListFile& file) {
  Names out;
  file.for_each([&](std::string_view name, ListEntry entry) {
    EXPECT_TRUE(out.emplace(name, entry).second) << name << " stands in it twice";
  });
  return out;
}

std::vector<std::string> random_names(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::string> out;
  while (out.size() < count) {
    std::string name = std::to_string(random() % 50) + ".example";
    for (auto i = random() % 6; i-- > 0;) name = std::string(1 + random() % 20, "ab-c_9"[random() % 6]) + "." + name;
    out.push_back(name);
  }
  return out;
}

TEST(NameTable, SortsByTheTextReadBackwardsAndDropsRepetitions) {
  std::vector<std::string> names = random_names(20'000, 1);
  names.push_back("example");
  names.push_back(std::string(60, 'x') + ".example");
  NameTable table;
  for (const std::string& name : names) table.add(name, ListEntry::listed);
  EXPECT_EQ(table.size(), names.size());
  table.sort();
  std::sort(names.begin(), names.end(), list_layout::comes_before);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::string> sorted;
  table.for_each([&](std::string_view name, ListEntry) { sorted.emplace_back(name); });
  EXPECT_EQ(sorted, names);
  EXPECT_EQ(table.size(), names.size());
}

TEST(NameTable, MakesOneEntryOfThoseForOneName) {
  NameTable table;
  const std::vector<std::pair<std::string, ListEntry>> said{
      {"a.example", ListEntry::exact},    {"b.example", ListEntry::exact},
      {"a.example", ListEntry::children}, {"b.example", ListEntry::exception},
      {"c.example", ListEntry::children}, {"c.example", ListEntry::exact_exception}};
  for (const auto& [name, entry] : said) table.add(name, entry);
  table.sort();
  const auto all = [&] {
    Names out;
    table.for_each([&](std::string_view name, ListEntry entry) { out.emplace(name, entry); });
    return out;
  };
  EXPECT_EQ(all(), (Names{{"a.example", ListEntry::suffix},
                          {"b.example", ListEntry::exception},
                          {"c.example", {policy::ListMark::exception, policy::ListMark::listed}}}));
  table.change_each([](std::string_view name, ListEntry entry) {
    return name == "b.example" ? ListEntry::none : name == "c.example" ? ListEntry::exact : entry;
  });
  EXPECT_EQ(all(), (Names{{"a.example", ListEntry::suffix}, {"c.example", ListEntry::exact}}));
  EXPECT_EQ(table.size(), 2U);
}

TEST(NameTable, CountsWhatSaysNothingNew) {
  NameTable table;
  for (const ListEntry entry : {ListEntry::exact, ListEntry::children, ListEntry::exact}) table.add("a.example", entry);
  table.add("b.example", ListEntry::exact);
  table.sort();
  EXPECT_EQ(table.repeated(), 1U);
  EXPECT_EQ(table.size(), 2U);
}

TEST(ListFile, KeepsWhatTheListSaysOfEachName) {
  using policy::ListMark;
  Names names;
  int number = 0;
  for (unsigned at = 0; at <= 5; ++at)
    for (unsigned below = at == 0 ? 1 : 0; below <= 5; ++below)
      names["n" + std::to_string(number++) + ".example"] = {static_cast<ListMark>(at), static_cast<ListMark>(below)};
  NameTable table;
  for (const auto& [name, entry] : names) table.add(name, entry);
  table.sort();
  const ScratchFolder folder;
  ListFileWriter writer(folder.path(), ListFormat::rpz, folder.path());
  table.for_each([&](std::string_view name, ListEntry entry) { writer.add(name, entry); });
  const ListFile file(folder.path() / writer.finish());
  EXPECT_EQ(read_list(file), names);
  for (const auto& [name, entry] : names) EXPECT_EQ(file.find(name), entry);
  EXPECT_TRUE(file.nearest_wins());
  EXPECT_EQ(file.entries(), 27U);     // all but (0|3|5, 0|3|5), of which there are eight
  EXPECT_EQ(file.exceptions(), 20U);  // all but those of (0|1|2|4, 0|1|2|4), of which there are fifteen
}

/// As version 1 had it: one block of entries and one of exceptions.
std::string first_version(const std::vector<std::string>& entries, const std::vector<std::string>& exceptions) {
  std::string blocks, index;
  const auto number = [](std::string& out, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(value >> 8 * i);
  };
  for (const auto& names : {entries, exceptions}) {
    if (names.empty()) continue;
    std::string block;
    for (const std::string& name : names) block += std::string(1, '\0') + static_cast<char>(name.size()) + name;
    number(index, 48 + blocks.size(), 8);
    number(index, list_layout::crc32(bytes_of(block)), 4);
    blocks += block;
  }
  std::string out(list_layout::kMagic);
  number(out, 1, 4);
  number(out, static_cast<std::uint64_t>(ListFormat::rpz), 4);
  number(out, entries.size(), 8);
  number(out, exceptions.size(), 8);
  number(out, 48 + blocks.size(), 8);
  number(out, list_layout::crc32(bytes_of(index)), 4);
  number(out, list_layout::crc32(bytes_of(out)), 4);
  return out + blocks + index;
}

TEST(ListFile, ReadsTheFirstVersion) {
  const std::string whole = first_version({"a.example", "b.example"}, {"a.example", "x.b.example"});
  const ListFile file(memory_file(whole), "the list");
  EXPECT_EQ(file.entries(), 2U);
  EXPECT_EQ(file.exceptions(), 2U);
  EXPECT_FALSE(file.nearest_wins());
  EXPECT_EQ(file.find("a.example"), ListEntry::exception);
  EXPECT_EQ(file.find("b.example"), ListEntry::listed);
  EXPECT_EQ(file.find("x.b.example"), ListEntry::exception);
  EXPECT_EQ(file.find("example"), ListEntry::none);
  std::vector<std::string> seen;
  file.for_each([&](std::string_view name, ListEntry entry) {
    seen.push_back((entry == ListEntry::exception ? "-" : "") + std::string(name));
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"a.example", "b.example", "-a.example", "-x.b.example"}));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(ListFile(memory_file(whole.substr(0, size)), "the list").for_each([](std::string_view, ListEntry) {}),
                 std::runtime_error);
}

TEST(ListFile, GivesBackWhatWasWritten) {
  for (const std::size_t count : {0U, 1U, 15U, 16U, 17U, 32U, 5000U}) {
    const ScratchFolder folder;
    const std::vector<std::string> entries = random_names(count, 2);
    const std::vector<std::string> exceptions{"good.1.example", "z.example"};
    const std::string name =
        write_list(folder.path(), entries, count % 2 == 0 ? exceptions : std::vector<std::string>{});
    ASSERT_TRUE(is_list_file_name(name)) << name;
    const ListFile file(folder.path() / name);
    EXPECT_EQ(file.format(), ListFormat::adblock);
    EXPECT_EQ(file.exceptions(), count % 2 == 0 ? 2U : 0U);
    const Names read = read_list(file);
    EXPECT_EQ(read.size(), file.entries() + file.exceptions());
    for (const std::string& entry : entries) {
      ASSERT_TRUE(read.contains(entry)) << entry;
      EXPECT_EQ(file.find(entry), ListEntry::listed) << entry;
      EXPECT_EQ(file.find(entry + "x"), ListEntry::none);
      EXPECT_EQ(file.find("x" + entry), ListEntry::none);
    }
    EXPECT_EQ(file.find("z.example"), count % 2 == 0 ? ListEntry::exception : ListEntry::none);
    EXPECT_EQ(file.find(""), ListEntry::none);
    EXPECT_EQ(file.find("zzz"), ListEntry::none);
  }
}

TEST(ListFile, CountsAnExceptionMoreThanAnEntry) {
  const ScratchFolder folder;
  const ListFile file(folder.path() / write_list(folder.path(), {"a.example", "b.example"}, {"a.example"}));
  EXPECT_EQ(file.find("a.example"), ListEntry::exception);
  EXPECT_EQ(file.find("b.example"), ListEntry::listed);
}

TEST(ListFile, IsNamedByItsContentAndReadableByItsGroupOnly) {
  const ScratchFolder folder;
  const std::string first = write_list(folder.path(), {"b.example", "a.example"}, {});
  EXPECT_EQ(first, write_list(folder.path(), {"a.example", "b.example", "a.example"}, {}));
  EXPECT_NE(first, write_list(folder.path(), {"a.example"}, {"b.example"}));
  struct stat found {};
  ASSERT_EQ(::stat((folder.path() / first).c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0640U);
  FILE* const pipe = popen(("sha256sum < " + (folder.path() / first).string()).c_str(), "r");
  std::array<char, 65> sum{};
  ASSERT_EQ(std::fread(sum.data(), 1, 64, pipe), 64U);
  pclose(pipe);
  EXPECT_EQ(first, std::string(sum.data()) + ".names");
  { const ListFileWriter unfinished(folder.path(), ListFormat::hosts, folder.path()); }
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    EXPECT_TRUE(is_list_file_name(entry.path().filename().string())) << entry;
}

/// Reads all of it in every way; true if nothing was wrong.
bool reads(std::string_view content, const Names& names) {
  try {
    const ListFile file(memory_file(content), "the list");
    bool same = true;
    for (const auto& [name, entry] : names) same = same && file.find(name) == entry;
    return read_list(file) == names && same;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::EndsWith(": import the list again"));
    return false;
  }
}

TEST(ListFile, RefusesEveryTruncationAndEveryFlippedBit) {
  const ScratchFolder folder;
  std::vector<std::string> entries = random_names(40, 3);
  const std::string whole = content_of(folder.path() / write_list(folder.path(), entries, {"good.example"}));
  const Names names = read_list(ListFile(memory_file(whole), "the list"));
  EXPECT_TRUE(reads(whole, names));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(reads(whole.substr(0, size), names)) << "cut to " << size;
  EXPECT_FALSE(reads(whole + '\0', names));
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(reads(flipped, names)) << "bit " << bit;
  }
}

TEST(ListFile, NoticesThatItIsCutShortWhileItIsOpen) {
  const ScratchFolder folder;
  const auto path = folder.path() / write_list(folder.path(), random_names(2000, 4), {});
  const ListFile file(path);
  std::filesystem::resize_file(path, 100);
  EXPECT_THROW(file.for_each([](std::string_view, ListEntry) {}), std::runtime_error);
  EXPECT_THROW(static_cast<void>(file.find("a.example")), std::runtime_error);
}

TEST(ListFile, OpensNothingButARegularFileOfItsKind) {
  const ScratchFolder folder;
  EXPECT_THROW(ListFile(folder.path() / "none"), std::system_error);
  EXPECT_THROW(ListFile{folder.path()}, std::runtime_error);
  std::filesystem::create_symlink("/etc/passwd", folder.path() / "link");
  EXPECT_THROW(ListFile(folder.path() / "link"), std::system_error);
  ASSERT_EQ(::mkfifo((folder.path() / "fifo").c_str(), 0600), 0);
  EXPECT_THROW(ListFile(folder.path() / "fifo"), std::runtime_error);
}

struct Read {
  std::uint64_t number;
  std::string text;
  bool too_long;
  bool operator==(const Read&) const = default;
};

std::vector<Read> lines_of(std::string_view content) {
  const UniqueFd fd = memory_file(content);
  LineReader reader(fd.get());
  std::vector<Read> out;
  while (const auto line = reader.next()) out.push_back({line->number, std::string(line->text), line->too_long});
  EXPECT_EQ(reader.bytes(), content.size());
  EXPECT_EQ(reader.lines(), out.size());
  return out;
}

TEST(LineReader, ReadsLinesHoweverTheyEnd) {
  using All = std::vector<Read>;
  EXPECT_EQ(lines_of(""), All{});
  EXPECT_EQ(lines_of("\n"), (All{{1, "", false}}));
  EXPECT_EQ(lines_of("a\nb"), (All{{1, "a", false}, {2, "b", false}}));
  EXPECT_EQ(lines_of("a\r\n\nb\n"), (All{{1, "a\r", false}, {2, "", false}, {3, "b", false}}));
  EXPECT_EQ(lines_of("\xef\xbb\xbf"
                     "a\n\xef\xbb\xbf"),
            (All{{1, "a", false}, {2, "\xef\xbb\xbf", false}}));
}

TEST(LineReader, CutsHugeLinesAndGoesOnBehindThem) {
  for (const std::size_t size :
       {kLongestLine - 1, kLongestLine, kLongestLine + 1, std::size_t{1} << 20, std::size_t{5} << 20}) {
    const bool too_long = size >= kLongestLine;
    const std::string huge(size, 'x');
    const auto lines = lines_of("a\n" + huge + "\nb\n" + huge);
    ASSERT_EQ(lines.size(), 4U) << size;
    for (const std::size_t i : {1U, 3U}) {
      EXPECT_EQ(lines[i].too_long, too_long) << size;
      EXPECT_EQ(lines[i].text.size(), std::min(size, kLongestLine));
    }
    EXPECT_EQ(lines[2], (Read{3, "b", false}));
  }
}

}  // namespace
}  // namespace gatehouse::db
