#include <gatehouse/base/error.hpp>

#include <gtest/gtest.h>

#include <cerrno>

namespace gatehouse {
namespace {

TEST(Error, ComparesByCategoryAndValue) {
  const Error error = Errc::truncated;
  EXPECT_EQ(error, Errc::truncated);
  EXPECT_NE(error, Errc::malformed);
  EXPECT_NE(error, Error(static_cast<int>(Errc::truncated), boost::system::system_category()));
}

TEST(Error, HasAFixedCategoryId) {
  // What makes codes equal that come from different copies of the library; see error.cpp.
  EXPECT_NE(errc_category(), boost::system::generic_category());
  EXPECT_STREQ(errc_category().name(), "gatehouse");
}

TEST(Error, SaysWhatIsWrong) {
  for (const Errc code : {Errc::truncated, Errc::oversize, Errc::malformed, Errc::not_found, Errc::unsupported,
                          Errc::closed, Errc::would_block}) {
    EXPECT_FALSE(Error(code).message().empty());
    EXPECT_NE(Error(code).message(), "unknown error");
  }
}

TEST(Error, TakesTheSystemsWord) {
  errno = ENOENT;
  EXPECT_EQ(last_system_error(), boost::system::errc::no_such_file_or_directory);
}

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> good = 7;
  const Result<int> bad = Errc::oversize;
  EXPECT_EQ(*good, 7);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error(), Errc::oversize);
}

}  // namespace
}  // namespace gatehouse
