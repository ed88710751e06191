#include "gateway/daemon/process.hpp"

#include "tests/unit/gateway/plugin/test_folder.hpp"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <sys/stat.h>

#include <functional>
#include <utility>

namespace {

thread_local std::function<void()> on_mkdir;  // what somebody else does just before

}  // namespace

/// In place of the C library's, in this program.
extern "C" int mkdir(const char* path, mode_t mode) noexcept {
  static const auto real = reinterpret_cast<int (*)(const char*, mode_t)>(dlsym(RTLD_NEXT, "mkdir"));
  if (on_mkdir) std::exchange(on_mkdir, nullptr)();
  return real(path, mode);
}

namespace gatehouse {
namespace {

namespace fs = std::filesystem;

TEST(MakeFolder, GivesTheModeToWhatItMakesWhateverTheUmask) {
  const TestFolder folder;
  const mode_t before = ::umask(077);
  make_folder(folder.path() / "a" / "b" / "", fs::perms(0755));
  ::umask(before);
  EXPECT_EQ(fs::status(folder.path() / "a" / "b").permissions(), fs::perms(0755));
}

TEST(MakeFolder, LeavesWhatAPlantedLinkLeadsTo) {
  const TestFolder folder;
  const fs::path victim = folder.path() / "victim";
  fs::create_directory(victim);
  fs::permissions(victim, fs::perms(0700));
  const fs::path wanted = fs::canonical(folder.path()) / "wanted";
  on_mkdir = [&] { fs::create_directory_symlink(victim, wanted); };
  make_folder(wanted, fs::perms(0755));
  EXPECT_EQ(fs::status(victim).permissions(), fs::perms(0700));
}

}  // namespace
}  // namespace gatehouse
