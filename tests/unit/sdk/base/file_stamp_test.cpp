#include <gatehouse/base/file_stamp.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <stdlib.h>

#include <string>

namespace gatehouse {
namespace {

class Stamp : public testing::Test {
 protected:
  Stamp() : fd(::mkstemp(name.data())) {}
  ~Stamp() override { ::unlink(name.c_str()); }

  std::string name = testing::TempDir() + "gatehouse-stamp-XXXXXX";
  UniqueFd fd;
};

TEST_F(Stamp, IsTheSameByNameAndByDescriptor) {
  EXPECT_TRUE(FileStamp::of(fd).exists());
  EXPECT_EQ(FileStamp::of(fd), FileStamp::of(name.c_str()));
}

TEST_F(Stamp, TellsThatAFileWasWrittenTo) {
  const FileStamp before = FileStamp::of(fd);
  ASSERT_EQ(::write(fd.get(), "x", 1), 1);
  EXPECT_NE(FileStamp::of(fd), before);
  EXPECT_TRUE(FileStamp::of(fd).is_file(before));
}

TEST_F(Stamp, TellsThatAnotherFileHasTheName) {
  const FileStamp before = FileStamp::of(name.c_str());
  ASSERT_EQ(::unlink(name.c_str()), 0);
  EXPECT_FALSE(FileStamp::of(name.c_str()).exists());
  const UniqueFd other(::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));  // while fd keeps its number
  EXPECT_FALSE(FileStamp::of(name.c_str()).is_file(before));
}

TEST_F(Stamp, IsNoneOfNoDescriptor) { EXPECT_EQ(FileStamp::of(UniqueFd()), FileStamp{}); }

}  // namespace
}  // namespace gatehouse
