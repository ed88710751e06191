// What is written as text, for people with another SQLite tool, and what as bytes, for it is none.
#include "db/sqlite.hpp"
#include "tests/unit/db/store/life.hpp"

#include <gtest/gtest.h>

namespace gatehouse::db {
namespace {

using namespace std::string_literals;

TEST(StoredText, IsWhatIsUtf8WithoutANul) {
  const std::string text[] = {"",
                              "plain",
                              "\x7f",
                              "\xc2\x80",
                              "\xdf\xbf",
                              "\xe0\xa0\x80",
                              "\xe0\xbf\xbf",
                              "\xed\x9f\xbf",
                              "\xee\x80\x80",
                              "\xf0\x90\x80\x80",
                              "\xf4\x8f\xbf\xbf",
                              "a\xe2\x82\xac"};
  const std::string bytes[] = {"a\0b"s,
                               "\x80",
                               "\xc1\xbf",
                               "\xc2",
                               "\xc2\x7f",
                               "\xc2\xc0",
                               "\xe0\x9f\xbf",
                               "\xe0\xc0\x80",
                               "\xe2\x82",
                               "\xe2\x82\x7f",
                               "\xe2\x82\xc0",
                               "\xed\xa0\x80",
                               "\xed\x7f\x80",
                               "\xf0\x8f\xbf\xbf",
                               "\xf0\xc0\x80\x80",
                               "\xf4\x90\x80\x80",
                               "\xf4\x7f\x80\x80",
                               "\xf5\x80\x80\x80",
                               "\xff"};
  const ReadyFolder folder;
  Life life(folder.state_db());
  life.open();
  StoreBatch batch;
  std::uint64_t number = 0;
  for (const auto& all : {std::span<const std::string>(text), std::span<const std::string>(bytes)})
    for (const std::string& one : all) {
      batch.sessions.push_back(session(++number));
      batch.sessions.back().group_name = one;
    }
  life.write(batch);
  {
    Database file(life.path(), OpenMode::read_only, std::chrono::milliseconds(0));
    for (std::uint64_t id = 1; id <= number; ++id)
      EXPECT_EQ(file.number("SELECT typeof(group_name) = 'text' FROM sessions WHERE id = " + std::to_string(id)),
                id <= std::size(text) ? 1 : 0)
          << "session " << id;
  }
  life.expect_promises();
}

}  // namespace
}  // namespace gatehouse::db
