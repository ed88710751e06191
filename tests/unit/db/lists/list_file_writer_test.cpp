// How a list's file is written: whole, whatever the disk takes at once, and in few calls.
#include "db/lists/list_file_writer.hpp"
#include "tests/unit/db/scratch.hpp"

#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace {

thread_local std::size_t most_at_once = SIZE_MAX;  // bytes that this thread's next calls write
thread_local int calls = 0;

}  // namespace

/// In place of the C library's, in this program.
extern "C" ssize_t pwrite(int fd, const void* bytes, std::size_t size, off_t at) {
  ++calls;
  return ::syscall(SYS_pwrite64, fd, bytes, std::min(size, most_at_once), at);
}

namespace gatehouse::db {
namespace {

class ListWriter : public testing::Test {
 protected:
  ~ListWriter() override { most_at_once = SIZE_MAX; }
  /// The file's name, which is the hash of what it holds.
  std::string written(std::size_t names) {
    ListFileWriter writer(folder.path(), ListFormat::hosts, folder.path());
    std::vector<std::string> all;
    for (std::size_t i = 0; i < names; ++i) all.push_back("n" + std::to_string(i) + ".test");
    std::sort(all.begin(), all.end(), [](const std::string& a, const std::string& b) {
      return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
    });
    for (const std::string& name : all) writer.add(name, policy::ListEntry::listed);
    return writer.finish();
  }

  ScratchFolder folder;
};

TEST_F(ListWriter, WritesTheSameInPieces) {
  const std::string whole = written(1000);
  most_at_once = 7;
  EXPECT_EQ(written(1000), whole);
}

TEST_F(ListWriter, GathersWhatItWrites) {
  calls = 0;
  static_cast<void>(written(1000));
  EXPECT_LE(calls, 3) << "blocks, index, header";
}

}  // namespace
}  // namespace gatehouse::db
