#include "gateway/conformance/static_part.hpp"

#include <gatehouse/abi.h>

#include "gateway/plugin/elf_check.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace gatehouse::conformance {
namespace {

/// C++ libraries without a stable binary interface: their objects and statics differ from version to version.
bool is_unusual(std::string_view library) {
  constexpr std::array<std::string_view, 7> kUnusual{"libboost_", "libspdlog", "libfmt",      "libabsl_",
                                                     "libgrpc",   "libtbb",    "libgatehouse"};
  return std::any_of(kUnusual.begin(), kUnusual.end(),
                     [library](std::string_view begin) { return library.starts_with(begin); });
}

/// A few of many names.
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 4;
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMost ? out + " and " + std::to_string(names.size() - kMost) + " more" : out;
}

class FileCheck {
 public:
  explicit FileCheck(const ElfFacts& facts) : facts_(facts) {}

  std::vector<Finding> run() {
    check_exports();
    if (!facts_.search_path.empty()) found("search_path", "it looks for libraries in " + facts_.search_path);
    if (facts_.executable_stack) found("executable_stack", "it wants an executable stack");
    if (facts_.text_relocations) found("text_relocations", "its code has to be written to when it is loaded");
    if (facts_.writable_code) found("writable_code", "a segment of it can be both written and executed");
    if (!facts_.relro) found("no_relro", "its tables of addresses stay writable (no PT_GNU_RELRO)");
    if (!facts_.bind_now) found("no_bind_now", "it does not ask for its symbols at once (no BIND_NOW)");
    for (const std::string& library : facts_.needed)
      if (is_unusual(library)) found("unusual_library", "it needs the shared library " + library);
    return std::move(findings_);
  }

 private:
  void found(std::string_view id, std::string seen) {
    findings_.push_back({&finding_kind(id), "file", std::move(seen)});
  }

  void check_exports() {
    std::vector<std::string> unique, extra;
    bool has_manifest = false;
    for (const ElfSymbol& symbol : facts_.exports) {
      if (symbol.name == GH_MANIFEST_SYMBOL) {
        has_manifest = true;
      } else {
        (symbol.unique ? unique : extra).push_back(symbol.name);
      }
    }
    if (!has_manifest) found("missing_manifest", "it does not export `" GH_MANIFEST_SYMBOL "`");
    if (!unique.empty()) found("unique_symbol", "it exports unique symbols: " + some_of(unique));
    if (!extra.empty()) found("extra_export", "it exports more than its manifest: " + some_of(extra));
  }

  const ElfFacts& facts_;
  std::vector<Finding> findings_;
};

}  // namespace

StaticPart check_file(Bytes content) {
  StaticPart out;
  ElfReading reading = read_elf(content);
  if (!reading.why_not.empty()) {
    out.findings.push_back({&finding_kind("not_loadable"), "file", "the file" + reading.why_not});
    return out;
  }
  out.findings = FileCheck(reading.facts).run();
  out.loadable = std::none_of(out.findings.begin(), out.findings.end(),
                              [](const Finding& one) { return one.kind->id == "missing_manifest"; });
  out.needed = std::move(reading.facts.needed);
  return out;
}

}  // namespace gatehouse::conformance
