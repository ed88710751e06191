// A fixture for tests of the verbs that edit policy.db: one with the starter policy.
#pragma once

#include "db/policy/policy_database.hpp"
#include "tests/unit/gateway/cli/verb_test.hpp"

#include <string>

namespace gatehouse {

class EditTest : public VerbTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(path.parent_path());
    db::prepare_policy(path);
  }
};

}  // namespace gatehouse
