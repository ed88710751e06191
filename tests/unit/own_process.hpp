// A part of a test that needs a process of its own: it enters namespaces, which nobody comes back from.
#pragma once

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

namespace gatehouse {

/// Runs `task` in a child, where its failures are told and become the test's.
/// @param enter  in the child, before: false, and the test is skipped, since this machine has no `what`
template <class Enter, class Task>
void in_own_process(const char* what, Enter enter, Task task) {
  constexpr int kImpossible = 77;
  const pid_t child = ::fork();
  if (child == 0) {
    if (!enter()) ::_exit(kImpossible);
    try {
      task();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kImpossible) GTEST_SKIP() << "no " << what << " can be had here";
  EXPECT_EQ(WEXITSTATUS(status), 0) << "see above";
}

}  // namespace gatehouse
