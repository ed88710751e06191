// `gatehouse run`: the gateway in the foreground.
#include "gateway/cli/verbs.hpp"
#include "gateway/daemon/daemon.hpp"

namespace gatehouse {

int run_verb(const Invocation& invocation) {
  Daemon daemon(load_config(invocation), [invocation] { return read_config(invocation.config, invocation.overrides); });
  std::vector<ConfigProblem> problems = daemon.start();
  if (!problems.empty()) throw BrokenConfig(std::move(problems));
  return daemon.run();
}

}  // namespace gatehouse
