// The stages: the header; the program headers; the segments that are loaded; the dynamic section; each table that it
// points to. Then, for who wants to know, what all of that says.
#include "gateway/plugin/elf_check.hpp"

#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

namespace gatehouse {
namespace {

using Header = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Entry = ElfW(Dyn);

constexpr unsigned char kClass = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
constexpr unsigned char kOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
#if defined(__x86_64__)
constexpr unsigned kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr unsigned kMachine = EM_AARCH64;
#else
constexpr unsigned kMachine = EM_NONE;  // dlopen compares it
#endif

/// What it throws is what why_not_loadable() returns.
struct NotLoadable {
  std::string why;
};
[[noreturn]] void cut_short(const std::string& what) {
  throw NotLoadable{" is cut short: its " + what + " lies beyond its end; install the file again"};
}
[[noreturn]] void broken(const std::string& what) {
  throw NotLoadable{" is damaged: its " + what + "; install the file again"};
}

bool fits(std::uint64_t at, std::uint64_t size, std::uint64_t whole) noexcept {
  return at <= whole && size <= whole - at;
}

class Elf {
 public:
  explicit Elf(Bytes file) : file_(file) {}
  void check() {
    read_header();
    read_segments();
    read_dynamic();
    check_strings();
    check_tables();
  }
  /// After check().
  ElfFacts facts() const;

 private:
  template <class T>
  T at(std::uint64_t offset, const char* what) const {
    if (!fits(offset, sizeof(T), file_.size())) cut_short(what);
    T out;
    std::memcpy(&out, file_.data() + offset, sizeof out);
    return out;
  }

  std::string name_at(std::uint64_t offset) const;
  std::uint64_t count_symbols() const;
  std::uint64_t count_hashed_symbols(std::uint64_t table) const;
  std::vector<ElfSymbol> exports() const;

  void read_header();
  void read_segments();
  void check_loaded(const Segment& segment);
  void read_dynamic();
  void check_strings() const;
  void check_tables() const;
  /// Where in the file the `size` bytes at an address are. Zeroes behind a segment's end in the file are not.
  std::uint64_t offset_of(std::uint64_t address, std::uint64_t size, const char* what) const;
  void check_table(std::int64_t address, std::int64_t size, std::uint64_t entry, const char* what) const;
  std::optional<std::uint64_t> value(std::int64_t tag) const {
    const auto found = dynamic_.find(tag);
    return found == dynamic_.end() ? std::nullopt : std::optional(found->second);
  }

  Bytes file_;
  Header header_{};
  std::vector<Segment> loaded_;
  std::optional<Segment> dynamic_segment_;
  std::map<std::int64_t, std::uint64_t> dynamic_;
  std::vector<Entry> names_;      // whose values are offsets into the strings
  bool executable_stack_ = true;  // what a file without a word about it gets
  bool relro_ = false, writable_code_ = false;
};

void Elf::read_header() {
  if (file_.size() < SELFMAG || std::memcmp(file_.data(), ELFMAG, SELFMAG) != 0)
    throw NotLoadable{" is no shared object (ELF), so it is no plugin"};
  header_ = at<Header>(0, "header");
  const auto& id = header_.e_ident;
  if (id[EI_CLASS] != kClass || id[EI_DATA] != kOrder || (kMachine != EM_NONE && header_.e_machine != kMachine))
    throw NotLoadable{" is built for another kind of processor: install the build for this one"};
  if (header_.e_type != ET_DYN) throw NotLoadable{" is no shared object but another kind of ELF file: build it as one"};
  if (header_.e_phentsize != sizeof(Segment) || header_.e_phnum == 0) broken("header has no program headers");
  const std::uint64_t sections = std::uint64_t{header_.e_shnum} * header_.e_shentsize;
  if (header_.e_shoff != 0 && !fits(header_.e_shoff, sections, file_.size())) cut_short("table of sections");
}

void Elf::check_loaded(const Segment& segment) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  if (segment.p_filesz > segment.p_memsz || segment.p_vaddr + segment.p_memsz < segment.p_vaddr ||
      (segment.p_vaddr - segment.p_offset) % page != 0 || !std::has_single_bit(std::uint64_t{segment.p_align}))
    broken("program headers describe a segment that cannot be");
  if (!loaded_.empty() && segment.p_vaddr < loaded_.back().p_vaddr + loaded_.back().p_memsz)
    broken("segments lie over each other");
  constexpr auto kWritableCode = PF_W | PF_X;
  writable_code_ = writable_code_ || (segment.p_flags & kWritableCode) == kWritableCode;
  loaded_.push_back(segment);
}

void Elf::read_segments() {
  const std::uint64_t table = std::uint64_t{header_.e_phnum} * sizeof(Segment);
  if (!fits(header_.e_phoff, table, file_.size())) cut_short("table of program headers");
  for (std::uint64_t i = 0; i < header_.e_phnum; ++i) {
    const auto segment = at<Segment>(header_.e_phoff + i * sizeof(Segment), "table of program headers");
    const bool is_zero = segment.p_type == PT_TLS && segment.p_filesz == 0;
    if (!is_zero && !fits(segment.p_offset, segment.p_filesz, file_.size())) cut_short("code or data");
    if (segment.p_type == PT_LOAD) check_loaded(segment);
    if (segment.p_type == PT_DYNAMIC) dynamic_segment_ = segment;
    if (segment.p_type == PT_GNU_STACK) executable_stack_ = (segment.p_flags & PF_X) != 0;
    if (segment.p_type == PT_GNU_RELRO) relro_ = true;
  }
  if (loaded_.empty()) broken("program headers load nothing");
  if (!dynamic_segment_) throw NotLoadable{" has no dynamic section: build it as a shared object"};
  offset_of(loaded_.front().p_vaddr + header_.e_phoff - loaded_.front().p_offset, table, "program headers");
}

std::uint64_t Elf::offset_of(std::uint64_t address, std::uint64_t size, const char* what) const {
  for (const Segment& segment : loaded_) {
    if (address >= segment.p_vaddr && fits(address - segment.p_vaddr, size, segment.p_filesz))
      return segment.p_offset + (address - segment.p_vaddr);
  }
  broken(std::string(what) + (std::string(what).back() == 's' ? " lie" : " lies") + " outside of what is loaded");
}

void Elf::read_dynamic() {
  const std::uint64_t count = dynamic_segment_->p_filesz / sizeof(Entry);
  const std::uint64_t start = offset_of(dynamic_segment_->p_vaddr, dynamic_segment_->p_filesz, "dynamic section");
  bool ended = false;
  for (std::uint64_t i = 0; i < count && !ended; ++i) {
    const auto entry = at<Entry>(start + i * sizeof(Entry), "dynamic section");
    ended = entry.d_tag == DT_NULL;
    const std::uint64_t value = entry.d_un.d_val;
    dynamic_[entry.d_tag] = value;
    for (const std::int64_t tag : {DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH})
      if (entry.d_tag == tag) names_.push_back(entry);
  }
  if (!ended) broken("dynamic section has no end");
  for (const std::int64_t tag : {DT_STRTAB, DT_STRSZ, DT_SYMTAB})
    if (!value(tag)) broken("dynamic section names no symbols");
}

/// Names are read up to the next zero, so the last byte of the strings must be one.
void Elf::check_strings() const {
  const std::uint64_t size = *value(DT_STRSZ);
  const std::uint64_t start = offset_of(*value(DT_STRTAB), size, "names");
  if (size == 0 || file_[start + size - 1] != std::byte{0}) broken("names have no end");
  for (const Entry& name : names_)
    if (name.d_un.d_val >= size) broken("names lie outside of what is loaded");
}

void Elf::check_table(std::int64_t address, std::int64_t size, std::uint64_t entry, const char* what) const {
  const auto start = value(address);
  if (!start) return;
  const std::uint64_t bytes = size == DT_NULL ? entry : value(size).value_or(0);
  if (bytes % entry != 0) broken(std::string(what) + " end in the middle of one");
  if (bytes > 0) offset_of(*start, bytes, what);
}

void Elf::check_tables() const {
  constexpr std::uint64_t kWord = sizeof(void*), kHalf = sizeof(std::uint16_t);
  check_table(DT_SYMTAB, DT_NULL, sizeof(ElfW(Sym)), "symbols");
  check_table(DT_RELA, DT_RELASZ, sizeof(ElfW(Rela)), "relocations");
  check_table(DT_REL, DT_RELSZ, sizeof(ElfW(Rel)), "relocations");
  constexpr std::int64_t kRelr = 36, kRelrSize = 35;  // DT_RELR, DT_RELRSZ: younger than some elf.h
  check_table(kRelr, kRelrSize, kWord, "relocations");
  const bool has_addends = value(DT_PLTREL).value_or(DT_RELA) == DT_RELA;
  check_table(DT_JMPREL, DT_PLTRELSZ, has_addends ? sizeof(ElfW(Rela)) : sizeof(ElfW(Rel)), "relocations");
  check_table(DT_INIT_ARRAY, DT_INIT_ARRAYSZ, kWord, "constructors");
  check_table(DT_FINI_ARRAY, DT_FINI_ARRAYSZ, kWord, "destructors");
  check_table(DT_INIT, DT_NULL, 1, "constructors");
  check_table(DT_FINI, DT_NULL, 1, "destructors");
  check_table(DT_GNU_HASH, DT_NULL, 4 * sizeof(std::uint32_t), "symbols");
  check_table(DT_HASH, DT_NULL, 2 * sizeof(std::uint32_t), "symbols");
  check_table(DT_VERSYM, DT_NULL, kHalf, "versions");
  check_table(DT_VERNEED, DT_NULL, sizeof(ElfW(Verneed)), "versions");
  check_table(DT_VERDEF, DT_NULL, sizeof(ElfW(Verdef)), "versions");
  // The hash table that finds symbols: how many there are is in its chains, of which the buckets are the beginning.
  if (const auto hash = value(DT_GNU_HASH)) {
    const std::uint64_t start = offset_of(*hash, 4 * sizeof(std::uint32_t), "symbols");
    const auto buckets = at<std::uint32_t>(start, "symbols"), filter = at<std::uint32_t>(start + 8, "symbols");
    offset_of(*hash, 16 + filter * kWord + std::uint64_t{buckets} * sizeof(std::uint32_t), "symbols");
    if (!std::has_single_bit(filter)) broken("symbols have a filter that cannot be");  // the linker divides by it
  }
}

std::string Elf::name_at(std::uint64_t offset) const {
  const std::uint64_t size = *value(DT_STRSZ);
  if (offset >= size) broken("names lie outside of what is loaded");
  const auto* const name = reinterpret_cast<const char*>(&file_[offset_of(*value(DT_STRTAB), size, "names") + offset]);
  constexpr std::size_t kMost = 1024;  // a file may give each of its symbols all of its strings as a name
  return {name, strnlen(name, std::min<std::size_t>(kMost, size - offset))};
}

/// Behind the buckets stand the chains, one word a symbol, the last of each with its lowest bit set.
std::uint64_t Elf::count_hashed_symbols(std::uint64_t table) const {
  constexpr std::uint64_t kHalf = sizeof(std::uint32_t);
  const std::uint64_t start = offset_of(table, 4 * kHalf, "symbols");
  const auto buckets = at<std::uint32_t>(start, "symbols"), first = at<std::uint32_t>(start + kHalf, "symbols"),
             filter = at<std::uint32_t>(start + 2 * kHalf, "symbols");
  const std::uint64_t bucket = start + 4 * kHalf + std::uint64_t{filter} * sizeof(void*);
  const std::uint64_t chains = bucket + buckets * kHalf;
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i < buckets; ++i)
    last = std::max<std::uint64_t>(last, at<std::uint32_t>(bucket + i * kHalf, "symbols"));
  if (last < first) return 0;
  while ((at<std::uint32_t>(chains + (last - first) * kHalf, "symbols") & 1) == 0) ++last;
  return last + 1;
}

std::uint64_t Elf::count_symbols() const {
  if (const auto hash = value(DT_GNU_HASH)) return count_hashed_symbols(*hash);
  if (const auto hash = value(DT_HASH))  // buckets, symbols
    return at<std::uint32_t>(offset_of(*hash, 2 * sizeof(std::uint32_t), "symbols") + sizeof(std::uint32_t), "symbols");
  return 0;
}

std::vector<ElfSymbol> Elf::exports() const {
  using Symbol = ElfW(Sym);
  std::vector<ElfSymbol> out;
  for (std::uint64_t i = 1, count = count_symbols(); i < count; ++i) {
    const std::uint64_t address = *value(DT_SYMTAB) + i * sizeof(Symbol);
    const auto symbol = at<Symbol>(offset_of(address, sizeof(Symbol), "symbols"), "symbols");
    const auto binding = symbol.st_info >> 4;
    const auto visibility = symbol.st_other & 3;
    if (symbol.st_shndx == SHN_UNDEF || binding == STB_LOCAL || visibility == STV_HIDDEN || visibility == STV_INTERNAL)
      continue;
    out.push_back({name_at(symbol.st_name), binding == STB_GNU_UNIQUE});
  }
  return out;
}

ElfFacts Elf::facts() const {
  const std::uint64_t flags = value(DT_FLAGS).value_or(0), more_flags = value(DT_FLAGS_1).value_or(0);
  ElfFacts out;
  for (const Entry& name : names_) {
    if (name.d_tag == DT_NEEDED) out.needed.push_back(name_at(name.d_un.d_val));
    if (name.d_tag == DT_RPATH || name.d_tag == DT_RUNPATH) out.search_path = name_at(name.d_un.d_val);
  }
  out.exports = exports();
  out.executable_stack = executable_stack_;
  out.relro = relro_;
  out.bind_now = value(DT_BIND_NOW) || (flags & DF_BIND_NOW) != 0 || (more_flags & DF_1_NOW) != 0;
  out.text_relocations = value(DT_TEXTREL) || (flags & DF_TEXTREL) != 0;
  out.writable_code = writable_code_;
  return out;
}

}  // namespace

ElfReading read_elf(Bytes file) {
  ElfReading out;
  try {
    Elf elf(file);
    elf.check();
    out.facts = elf.facts();
  } catch (const NotLoadable& found) {
    out.why_not = found.why;
  }
  return out;
}

std::string why_not_loadable(Bytes file) {
  try {
    Elf(file).check();
    return {};
  } catch (const NotLoadable& found) {
    return found.why;
  }
}

}  // namespace gatehouse
