#include "gateway/cli/invocation.hpp"

#include "gateway/base/printable.hpp"
#include "gateway/cli/render.hpp"

#include <nlohmann/json.hpp>

#include <ostream>

namespace gatehouse {

BrokenConfig::BrokenConfig(std::vector<ConfigProblem> all)
    : std::runtime_error(all.empty() ? "the configuration is broken" : all.front().to_string()),
      problems(std::move(all)) {}

Config load_config(const Invocation& invocation) {
  ConfigReading reading = read_config(invocation.config, invocation.overrides);
  if (!reading.config) throw BrokenConfig(std::move(reading.problems));
  return std::move(*reading.config);
}

Config load_config_or_defaults(const Invocation& invocation) {
  std::error_code error;
  if (invocation.config != kDefaultConfig || std::filesystem::exists(invocation.config, error) || error) {
    return load_config(invocation);
  }
  Config out;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path prefix = program.parent_path().parent_path();
  out.plugin_dirs.insert(out.plugin_dirs.begin(), {prefix / "plugins", prefix / "lib/gatehouse/plugins"});
  return out;
}

std::filesystem::path policy_db(const Invocation& invocation) {
  return load_config_or_defaults(invocation).state_dir / "policy.db";
}

void complain(const Invocation& invocation, const std::string& sentence) {
  std::string shown = "gatehouse: ";
  for (std::size_t at = 0; at <= sentence.size();) {  // a few have more than one line
    const std::size_t end = std::min(sentence.find('\n', at), sentence.size());
    append_printable(shown, std::string_view(sentence).substr(at, end - at));
    shown += '\n';
    at = end + 1;
  }
  invocation.err << shown;
}

void complain(const Invocation& invocation, const std::vector<ConfigProblem>& problems) {
  if (!invocation.json) {
    for (const ConfigProblem& problem : problems) complain(invocation, problem.to_string());
    return;
  }
  auto list = nlohmann::ordered_json::array();
  for (const ConfigProblem& problem : problems) {
    list.push_back({{"file", problem.place.file},
                    {"line", problem.place.line},
                    {"column", problem.place.column},
                    {"sentence", problem.sentence}});
  }
  const nlohmann::ordered_json body = {{"problems", std::move(list)}};
  print_body(invocation, one_line(body));
}

}  // namespace gatehouse
