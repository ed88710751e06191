#include "gateway/cli/plugin/check_verb.hpp"

#include "gateway/base/printable.hpp"
#include "gateway/base/refusal.hpp"
#include "gateway/cli/plugin/plugin_shelf.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/conformance/check.hpp"

#include <nlohmann/json.hpp>

#include <ostream>

namespace gatehouse {
namespace {

using conformance::Finding;
using conformance::Report;
using conformance::Severity;

void print_for_people(std::ostream& out, const Report& report) {
  const auto& manifest = report.manifest;
  if (manifest.is_object())
    out << printable(manifest.at("id").get<std::string>()) << ' '
        << printable(manifest.at("version").get<std::string>()) << ": ";
  out << report.file.string() << '\n';
  for (const Finding& one : report.findings)
    out << (one.kind->severity == Severity::fault ? "fault    " : "warning  ") << one.kind->id << ", " << one.step
        << ": " << printable(one.seen) << "\n         " << one.kind->advice << '\n';
  for (const Report::StepTaken& step : report.steps)
    if (!step.skipped.empty()) out << "skipped  " << step.name << ": " << step.skipped << '\n';
  if (report.conforms())
    out << "conforms: works with " << report.works_with() << '\n';
  else
    out << "does not conform\n";
}

}  // namespace

int plugin_check_verb(const Invocation& invocation, const PluginCheckArguments& arguments) {
  const auto options = nlohmann::ordered_json::parse(arguments.options, nullptr, false);
  if (!options.is_object()) throw Refusal("--options must be a JSON object, such as {\"size\": 3}");
  const PluginShelf shelf{Config()};
  const Report report = conformance::check_plugin(arguments.file, options, shelf.config().runtime_dir);
  if (invocation.json)
    print_json(invocation.out, report.to_json());
  else
    print_for_people(invocation.out, report);
  return report.conforms() ? kExitYes : kExitNo;
}

}  // namespace gatehouse
