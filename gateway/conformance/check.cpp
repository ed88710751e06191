// Stages: the file; then, each in a process of its own, the handshake, the options, dry run and cycles, a life under
// load; and that life again for each interface that a host may lack and each function that may fail.
#include "gateway/conformance/check.hpp"

#include "gateway/base/refusal.hpp"
#include "gateway/conformance/static_part.hpp"
#include "gateway/conformance/step.hpp"
#include "gateway/conformance/steps.hpp"
#include "gateway/plugin/trust.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>

namespace gatehouse::conformance {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMostBytes = std::uintmax_t{1} << 30;  // of a file, which is copied

constexpr std::chrono::minutes kMostTime{10};  // of all steps, which are some eighty

class Check {
 public:
  Check(Subject subject, fs::path scratch, Report& report)
      : subject_(std::move(subject)), scratch_(std::move(scratch)), report_(report) {}

  void run() {
    const StepOutcome handshake = take("handshake", check_handshake);
    if (!handshake.finished || !handshake.facts.contains("manifest")) return;
    report_.manifest = handshake.facts.at("manifest");
    const StepOutcome options = take("options", check_options);
    if (has(options, "default_refused")) return;  // nothing that follows would get anywhere
    take("dry_run", check_dry_run);
    take("cycles", check_cycles);
    const StepOutcome load = take("load", check_load);
    if (has(load, "not_started")) return;
    if (!load.finished || has_slow_fault(load)) return skip_the_rest();
    for (const Finding& one : load.findings) of_life_.insert(one.kind);
    take(Step{.name = "later_host",
              .run = [this](Notes& notes) { check_later_host(subject_, notes); },
              .of_death = "later_host"});
    for (const Json& id : handshake.facts.at("optional")) try_without(id.get<std::string>());
    for (const Json& name : load.facts.at("called")) try_failing(name.get<std::string>());
  }

 private:
  using Work = void (*)(const Subject&, Notes&);

  StepOutcome take(std::string name, Work work) {
    return take(Step{.name = std::move(name), .run = [this, work](Notes& notes) { work(subject_, notes); }});
  }
  StepOutcome take(const Step& step) {
    if (has_enough())
      return report_.steps.push_back({step.name, {}, "steps before it did not come back"}), StepOutcome{};
    StepOutcome out = run_step(step, scratch_);
    hung_ += out.hung ? 1 : 0;
    if (spent_ <= kMostTime && spent_ + out.took > kMostTime)
      report_.findings.push_back({&finding_kind("hang"), step.name, "all steps together take more than ten minutes"});
    spent_ += out.took;
    for (const Finding& one : out.findings)
      if (!of_life_.contains(one.kind)) report_.findings.push_back(one);
    report_.steps.push_back({step.name, out.took, out.skipped});
    return out;
  }
  /// However many steps there are, the check comes to an end: what it has found until then is a fault already.
  [[nodiscard]] bool has_enough() const noexcept { return hung_ >= 2 || spent_ > kMostTime; }
  /// Each life would take as long again.
  static bool has_slow_fault(const StepOutcome& load) {
    constexpr std::array<std::string_view, 5> kSlow{"start_refused", "slow_stop", "slow_call", "no_heartbeat",
                                                    "leaked_threads"};
    return std::any_of(kSlow.begin(), kSlow.end(), [&](std::string_view id) { return has(load, id); });
  }
  void skip_the_rest() {
    report_.steps.push_back({"later_host and all that follows", {}, "mend what `load` has found before"});
  }
  static bool has(const StepOutcome& outcome, std::string_view id) {
    return std::any_of(outcome.findings.begin(), outcome.findings.end(),
                       [id](const Finding& one) { return one.kind->id == id; });
  }

  void try_without(const std::string& id) {
    take(Step{.name = "without " + id,
              .run = [this, id](Notes& notes) { check_withheld(subject_, id, notes); },
              .of_death = "withheld_interface"});
  }
  void try_failing(const std::string& name) {
    const auto known = host_functions();
    const auto function = std::find_if(known.begin(), known.end(), [&](auto& one) { return one.name == name; });
    if (function == known.end() || function->failure == 0) return;
    take(Step{.name = "failing " + name,
              .run = [this, name](Notes& notes) { check_host_failure(subject_, name, notes); },
              .of_death = "host_failure"});
  }

  const Subject subject_;
  const fs::path scratch_;
  Report& report_;
  unsigned hung_ = 0;
  std::chrono::milliseconds spent_{0};
  std::set<const FindingKind*> of_life_;  // what `load` has told: a life that is lived again shows it again
};

/// Where the gateway would not load it from, a copy of it is looked at: that is no fault of what is in it.
TrustedFile trust(const fs::path& file, const fs::path& scratch, Report& report) {
  try {
    return trust_plugin_file(file, scratch / "plugins");
  } catch (const Refusal& refusal) {
    report.findings.push_back({&finding_kind("not_trusted"), "file", refusal.what()});
  }
  const fs::path copy = scratch / file.filename();
  fs::copy_file(file, copy, fs::copy_options::overwrite_existing);
  fs::permissions(copy, fs::perms::owner_read | fs::perms::owner_exec);
  TrustedFile out = trust_plugin_file(copy, scratch / "plugins");
  out.original = fs::canonical(file);
  return out;
}

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

Report check_plugin(const fs::path& file, const Json& options, const fs::path& scratch) {
  std::error_code failure;
  if (!fs::is_regular_file(file, failure)) throw Refusal("there is no plugin file " + file.string());
  if (fs::file_size(file) > kMostBytes) throw Refusal(file.string() + " has more than 1 GiB, so it is no plugin");
  Report report;
  const TrustedFile trusted = trust(fs::absolute(file), scratch, report);
  report.file = trusted.original;
  report.sha256 = trusted.sha256;

  const std::string content = content_of(trusted.copy);
  StaticPart facts = check_file(std::as_bytes(std::span(content)));
  report.needed = std::move(facts.needed);
  report.findings.insert(report.findings.end(), facts.findings.begin(), facts.findings.end());
  if (facts.loadable) Check({trusted, options}, scratch, report).run();
  return report;
}

bool Report::conforms() const noexcept {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& one) { return one.kind->severity == Severity::fault; });
}

std::string Report::works_with() const {
  if (!manifest.is_object()) return {};
  const std::string major = manifest.at("abi_major").dump();
  return "host ABI " + major + '.' + manifest.at("abi_minor").dump() + " and every later " + major + ".x";
}

Json Report::to_json() const {
  Json found = Json::array(), taken = Json::array();
  for (const Finding& one : findings)
    found.push_back({{"id", one.kind->id},
                     {"severity", one.kind->severity == Severity::fault ? "fault" : "warning"},
                     {"step", one.step},
                     {"seen", one.seen},
                     {"advice", one.kind->advice}});
  for (const StepTaken& step : steps)
    taken.push_back({{"name", step.name}, {"milliseconds", step.took.count()}, {"skipped", step.skipped}});
  return {{"file", file.string()}, {"sha256", sha256},       {"manifest", manifest}, {"works_with", works_with()},
          {"needed", needed},      {"conforms", conforms()}, {"findings", found},    {"steps", taken}};
}

}  // namespace gatehouse::conformance
