// What every store has to do, as functions that run on a sound disk and on one that fails.
#pragma once

#include "tests/unit/db/store/life.hpp"

#include <span>

namespace gatehouse::db {

struct Case {
  const char* name;
  void (*run)(Life& life);
};

/// Each begins with an open, empty store and ends with one whose promises can be checked after a crash.
std::span<const Case> conformance_cases();

}  // namespace gatehouse::db
