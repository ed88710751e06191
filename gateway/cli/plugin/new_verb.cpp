#include "gateway/cli/plugin/new_verb.hpp"

#include "gateway/cli/plugin/plugin_template.hpp"
#include "gateway/cli/render.hpp"

#include <nlohmann/json.hpp>

namespace gatehouse {

int plugin_new_verb(const Invocation& invocation, const NewPluginArguments& arguments) {
  const std::filesystem::path wanted = arguments.directory.empty() ? arguments.name : arguments.directory.string();
  const PluginProject project{arguments.name, arguments.kind, std::filesystem::absolute(wanted).lexically_normal()};
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const std::filesystem::path& file : make_plugin_project(template_folder(), project))
    files.push_back(file.string());
  const nlohmann::ordered_json body = {{"name", project.name},
                                       {"kind", project.kind},
                                       {"directory", project.directory.string()},
                                       {"files", std::move(files)},
                                       {"next", "README.md, in that directory, is a tutorial of ten minutes"}};
  print_body(invocation, one_line(body));
  return kExitYes;
}

}  // namespace gatehouse
