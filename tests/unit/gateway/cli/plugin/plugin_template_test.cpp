#include "gateway/cli/plugin/plugin_template.hpp"

#include "gateway/base/refusal.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PluginTemplate : public testing::Test {
 protected:
  PluginTemplate() {
    write("templates/common/my_protocol.txt", "my-protocol of my_protocol\n@part@\nin @DIRECTORY@\n@end");
    write("templates/stream/part.part", "a part of my-protocol\n");
    write("templates/stream/more.txt", "");
  }
  ~PluginTemplate() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(folder_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// What is made, or the refusal.
  std::string make(const std::string& name, const std::string& directory = "new") {
    try {
      made_ = make_plugin_project(folder_ / "templates", {name, "stream", folder_ / directory});
      return "made";
    } catch (const Refusal& refusal) {
      return refusal.what();
    }
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("gatehouse_template_" + std::to_string(getpid()));
  std::vector<std::filesystem::path> made_;
};

TEST_F(PluginTemplate, PutsNameDirectoryAndPartsIn) {
  ASSERT_EQ(make("a-new-one"), "made");
  EXPECT_THAT(made_, ElementsAre("a_new_one.txt", "more.txt"));
  EXPECT_EQ(read("new/a_new_one.txt"),
            "a-new-one of a_new_one\na part of a-new-one\nin " + (folder_ / "new").string() + "\n@end");
}

TEST_F(PluginTemplate, RefusesWhatIsNoName) {
  for (const char* name : {"", "New", "9p", "-a", "a-", "a--b", "a_b", "../up", "a/b", "a b", "\xc3\xa4"})
    EXPECT_THAT(make(name), HasSubstr("is no plugin's name")) << name;
  EXPECT_THAT(make(std::string(33, 'a')), HasSubstr("has 32 characters at most"));
  EXPECT_EQ(make(std::string(32, 'a')), "made");
}

TEST_F(PluginTemplate, OverwritesNothing) {
  write("taken/mine.txt", "mine");
  write("file", "mine");
  EXPECT_THAT(make("one", "taken"), HasSubstr("is there already, and nothing is overwritten"));
  EXPECT_THAT(make("one", "file"), HasSubstr("is there already, and nothing is overwritten"));
  EXPECT_THAT(make("one", "file/below"), HasSubstr("cannot make"));
  std::filesystem::create_directories(folder_ / "empty");
  EXPECT_EQ(make("one", "empty"), "made");
  EXPECT_EQ(read("file"), "mine");
}

TEST_F(PluginTemplate, RefusesADirectoryThatNoConfigurationFileCanName) {
  EXPECT_THAT(make("one", "a\"b"), HasSubstr("choose another --directory"));
  EXPECT_THAT(make("one", "a\nb"), HasSubstr("choose another --directory"));
}

}  // namespace
}  // namespace gatehouse
