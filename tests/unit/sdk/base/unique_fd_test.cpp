#include <gatehouse/base/unique_fd.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>

#include <type_traits>

namespace gatehouse {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

UniqueFd some_file() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

static_assert(!std::is_copy_constructible_v<UniqueFd> && !std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);

TEST(UniqueFd, ClosesWhenItGoes) {
  int number = -1;
  {
    const UniqueFd fd = some_file();
    number = fd.get();
    ASSERT_TRUE(fd);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, HoldsNothingAtFirst) {
  const UniqueFd none;
  EXPECT_FALSE(none);
  EXPECT_LT(none.get(), 0);
}

TEST(UniqueFd, MovesItsDescriptor) {
  UniqueFd from = some_file();
  const int number = from.get();
  UniqueFd to = std::move(from);
  EXPECT_FALSE(from);  // NOLINT(bugprone-use-after-move): empty by contract
  EXPECT_EQ(to.get(), number);
  to = some_file();
  EXPECT_TRUE(to);
  EXPECT_NE(to.get(), number);
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, SurvivesAMoveToItself) {
  UniqueFd fd = some_file();
  UniqueFd& same = fd;
  fd = std::move(same);
  ASSERT_TRUE(fd);
  EXPECT_TRUE(is_open(fd.get()));
}

TEST(UniqueFd, GivesItsDescriptorAway) {
  UniqueFd fd = some_file();
  const int number = fd.release();
  EXPECT_FALSE(fd);
  EXPECT_TRUE(is_open(number));
  fd.reset(number);
  fd.reset();
  EXPECT_FALSE(is_open(number));
}

}  // namespace
}  // namespace gatehouse
