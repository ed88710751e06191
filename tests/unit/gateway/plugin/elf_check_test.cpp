#include "gateway/plugin/elf_check.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/plugin/loader.hpp"
#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gmock/gmock.h>

#include <elf.h>
#include <link.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace gatehouse {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string why(const std::string& content, std::size_t size) {
  return why_not_loadable(std::as_bytes(std::span(content).first(size)));
}
std::string why(const std::string& content) { return why(content, content.size()); }

ElfW(Ehdr) header_of(const std::string& content) {
  ElfW(Ehdr) out;
  std::memcpy(&out, content.data(), sizeof out);
  return out;
}
std::string with(std::string content, const ElfW(Ehdr) & header) {
  std::memcpy(content.data(), &header, sizeof header);
  return content;
}

/// The first entry of that tag in the dynamic section has the value that `change` makes of its own; "" where none has.
template <class Change>
std::string with_entry(std::string content, std::int64_t tag, Change change) {
  const ElfW(Ehdr) header = header_of(content);
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment;
    std::memcpy(&segment, content.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type != PT_DYNAMIC) continue;
    for (std::uint64_t at = segment.p_offset; at < segment.p_offset + segment.p_filesz; at += sizeof(ElfW(Dyn))) {
      ElfW(Dyn) entry;
      std::memcpy(&entry, content.data() + at, sizeof entry);
      if (entry.d_tag != tag) continue;
      entry.d_un.d_val = change(entry.d_un.d_val);
      std::memcpy(content.data() + at, &entry, sizeof entry);
      return content;
    }
  }
  return {};
}
constexpr std::uint64_t kElsewhere = 1ULL << 40U;
std::uint64_t elsewhere(std::uint64_t) { return kElsewhere; }

/// Every 4 KiB, and three bytes on both sides of where each header, segment and section begins and ends.
std::set<std::size_t> cuts(const std::string& content) {
  constexpr std::size_t kStep = 4096, kAround = 3;
  std::set<std::size_t> out;
  for (std::size_t at = 0; at < content.size(); at += kStep) out.insert(at);
  const auto add = [&](std::uint64_t at) {
    for (std::uint64_t i = at < kAround ? 0 : at - kAround; i <= at + kAround; ++i)
      if (i < content.size()) out.insert(i);
  };
  const ElfW(Ehdr) header = header_of(content);
  add(sizeof header);
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment;
    std::memcpy(&segment, content.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    add(header.e_phoff + (i + 1) * sizeof segment);
    add(segment.p_offset);
    add(segment.p_offset + segment.p_filesz);
  }
  for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
    ElfW(Shdr) section;
    std::memcpy(&section, content.data() + header.e_shoff + i * sizeof section, sizeof section);
    add(header.e_shoff + i * sizeof section);
    add(section.sh_offset);
    if (section.sh_type != SHT_NOBITS) add(section.sh_offset + section.sh_size);
  }
  return out;
}

TEST(ElfCheck, AcceptsRealPlugins) {
  EXPECT_EQ(why(content_of(test_plugin("good")), content_of(test_plugin("good")).size()), "");
  for (const char* const name : {"udpgw.so", "echo.so"}) {
    const fs::path file = binary_folder() / "plugins" / name;
    if (!fs::exists(file)) continue;
    const std::string content = content_of(file);
    EXPECT_EQ(why(content, content.size()), "") << name;
    for (const std::size_t size : cuts(content)) EXPECT_NE(why(content, size), "") << name << " cut at " << size;
  }
}

TEST(ElfCheck, LoadsNoPluginThatWasCutAnywhere) {
  const TestFolder folder;
  const fs::path file = folder.path() / "cut.so";
  const std::string content = content_of(test_plugin("good"));
  for (const std::size_t size : cuts(content)) {
    fs::remove(file);
    std::ofstream(file, std::ios::binary).write(content.data(), static_cast<std::streamsize>(size));
    EXPECT_THROW(static_cast<void>(load_plugin(file, folder.path() / "copies", {GH_LOG_ID})), Refusal) << size;
  }
}

TEST(ElfCheck, SaysWhatIsWrong) {
  const std::string content = content_of(test_plugin("good"));
  EXPECT_THAT(why("", 0), StartsWith(" is no shared object (ELF)"));
  EXPECT_THAT(why("#!/bin/sh\n", 10), StartsWith(" is no shared object (ELF)"));
  EXPECT_EQ(why(content, 40), " is cut short: its header lies beyond its end; install the file again");
  EXPECT_THAT(why(content, content.size() - 1), HasSubstr("its table of sections lies beyond its end"));
  std::string other;
  for (const auto& [at, value] : std::map<std::size_t, int>{
           {EI_CLASS, ELFCLASS32}, {EI_DATA, ELFDATA2MSB}, {offsetof(ElfW(Ehdr), e_machine), EM_SPARC}}) {
    other = content;
    other[at] = static_cast<char>(value);
    EXPECT_THAT(why(other), HasSubstr("another kind of processor")) << at;
  }
  other = content;
  other[offsetof(ElfW(Ehdr), e_type)] = ET_EXEC;
  EXPECT_THAT(why(other), HasSubstr("another kind of ELF file"));
}

TEST(ElfCheck, NamesWhatLiesOutsideOfWhatIsLoaded) {
  const std::map<std::string, std::vector<std::int64_t>> tables{
      {"names", {DT_STRTAB, DT_SONAME, DT_NEEDED}}, {"symbols", {DT_SYMTAB, DT_GNU_HASH, DT_HASH}},
      {"relocations", {DT_RELA, DT_JMPREL}},        {"constructors", {DT_INIT_ARRAY, DT_INIT}},
      {"destructors", {DT_FINI_ARRAY, DT_FINI}},    {"versions", {DT_VERSYM, DT_VERNEED}}};
  const std::string content = content_of(test_plugin("good"));
  int found = 0;
  for (const auto& [what, tags] : tables) {
    for (const std::int64_t tag : tags) {
      const std::string changed = with_entry(content, tag, elsewhere);
      if (changed.empty()) continue;  // this linker makes none
      ++found;
      EXPECT_EQ(why(changed), " is damaged: its " + what + " lie outside of what is loaded; install the file again")
          << tag;
    }
  }
  EXPECT_GE(found, 8);
  ElfW(Ehdr) header = header_of(content);
  const std::string table = content.substr(header.e_phoff, header.e_phnum * sizeof(ElfW(Phdr)));
  header.e_phoff = content.size();
  EXPECT_THAT(why(with(content, header) + table), HasSubstr("program headers lie outside of what is loaded"));
}

TEST(ElfCheck, WantsAZeroBehindTheLastName) {
  const std::string content = content_of(test_plugin("good"));
  EXPECT_THAT(why(with_entry(content, DT_STRSZ, [](std::uint64_t size) { return size - 1; })), HasSubstr("no end"));
  EXPECT_THAT(why(with_entry(content, DT_STRSZ, [](std::uint64_t) { return 0; })), HasSubstr("no end"));
}

TEST(ElfCheck, DoesNotAskWhereATableOfNothingIs) {
  const std::string content = content_of(test_plugin("good"));
  const std::string without = with_entry(content, DT_INIT_ARRAYSZ, [](std::uint64_t) { return 0; });
  ASSERT_NE(without, "");
  EXPECT_EQ(why(with_entry(without, DT_INIT_ARRAY, elsewhere)), "");
  ElfW(Ehdr) header = header_of(content);
  header.e_shoff = 0;
  header.e_shnum = header.e_shentsize = 0xffff;
  EXPECT_EQ(why(with(content, header)), "");
}

// No value of any byte of the headers or of the dynamic section makes the check itself read elsewhere.
TEST(ElfCheck, SurvivesEveryByteOfItsHeadersChanged) {
  const std::string content = content_of(test_plugin("good"));
  const ElfW(Ehdr) header = header_of(content);
  const std::size_t end = header.e_phoff + header.e_phnum * sizeof(ElfW(Phdr));
  std::string dynamic;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment;
    std::memcpy(&segment, content.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type != PT_DYNAMIC && i != 0) continue;
    const std::size_t from = i == 0 ? 0 : segment.p_offset, to = i == 0 ? end : segment.p_offset + segment.p_filesz;
    for (std::size_t at = from; at < to; ++at) {
      for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
        std::string changed = content;
        changed[at] = static_cast<char>(value);
        static_cast<void>(read_elf(std::as_bytes(std::span(changed))));
      }
    }
  }
}

TEST(ElfCheck, TellsWhatTheFileSaysOfItself) {
  const std::string content = content_of(test_plugin("good"));
  const ElfReading reading = read_elf(std::as_bytes(std::span(content)));
  EXPECT_EQ(reading.why_not, "");
  const auto is_manifest = [](const ElfSymbol& one) { return one.name == "gatehouse_plugin" && !one.unique; };
  EXPECT_TRUE(std::any_of(reading.facts.exports.begin(), reading.facts.exports.end(), is_manifest));
  EXPECT_THAT(reading.facts.needed, testing::Contains(StartsWith("libc.so")));
  EXPECT_EQ(reading.facts.search_path, "");
  EXPECT_FALSE(reading.facts.executable_stack);
  EXPECT_FALSE(reading.facts.writable_code);
  EXPECT_FALSE(reading.facts.text_relocations);
}

TEST(ElfCheck, TellsNothingOfAFileThatIsNone) {
  const ElfReading reading = read_elf(std::as_bytes(std::span(std::string_view("no ELF"))));
  EXPECT_THAT(reading.why_not, HasSubstr("no shared object"));
  EXPECT_TRUE(reading.facts.exports.empty());
}

}  // namespace
}  // namespace gatehouse
