#include "policy/compile/tables.hpp"

namespace gatehouse::policy {

void compile_credentials(const Model& model, Draft& draft) {
  for (const Credential& row : model.credentials)
    if (draft.counts(row.life))
      if (std::string why = draft.parts.credentials.add(row); !why.empty())
        draft.problem({"credentials", row.id}, std::move(why));
}

}  // namespace gatehouse::policy
