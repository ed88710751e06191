#include "gateway/cli/verbs.hpp"
namespace gatehouse {
int run_verb(const Invocation& i) {
  (void)load_config(i);
  return 2;
}
}  // namespace gatehouse
