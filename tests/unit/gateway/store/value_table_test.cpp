// Named values by themselves, without the thread that writes them.
#include "gateway/store/value_table.hpp"

#include <gmock/gmock.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ValueChanges : public testing::Test {
 protected:
  /// Takes what the writer would.
  std::vector<ValueTable::Change> changes() {
    std::vector<ValueTable::Change> out;
    durability->changes().take([&](ChangeLink& link) { out.push_back(table.take_change(link)); });
    return out;
  }

  std::shared_ptr<Durability> durability = std::make_shared<Durability>();
  ValueTable table{durability};
  const db::ValueKey key{"relay", "lamport"};
  const db::ByteString text{'a'};
};

TEST_F(ValueChanges, TellOnceWhoWaitsForThem) {
  table.put(key, false, text, 3);
  table.put(key, false, text, 4);
  EXPECT_THAT(changes().at(0).waiting, ElementsAre(3u, 4u));
  table.put(key, false, text, 0);
  EXPECT_THAT(changes().at(0).waiting, IsEmpty());
}

TEST_F(ValueChanges, AreWhatIsThereAndWhatIsGone) {
  EXPECT_EQ(table.get(key), std::nullopt);
  table.put(key, true, text, 0);
  EXPECT_EQ(table.get(key), text);
  const auto put = changes();
  ASSERT_EQ(put.size(), 1u);
  EXPECT_TRUE(put[0].record.secret);
  EXPECT_EQ(put[0].record.value, text);
  table.put(key, true, std::nullopt, 0);
  EXPECT_EQ(table.get(key), std::nullopt);
  const auto gone = changes();
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].record.value, std::nullopt);
  table.change_all();
  EXPECT_THAT(changes(), IsEmpty()) << "one that is gone is not remembered";
  table.put(key, false, text, 0);
  static_cast<void>(changes());
  table.change_all();
  EXPECT_EQ(changes().size(), 1u);
}

TEST_F(ValueChanges, KeepWhatComesBackBeforeItWasWritten) {
  table.put(key, false, std::nullopt, 0);
  table.put(key, false, text, 0);
  EXPECT_EQ(changes().size(), 1u);
  EXPECT_EQ(table.get(key), text);
}

TEST_F(ValueChanges, ReserveNumbersOnce) {
  const auto number = [](std::string_view digits) { return db::ByteString(digits.begin(), digits.end()); };
  EXPECT_EQ(table.reserve(key, 10, 0), 1u);
  EXPECT_EQ(table.reserve(key, 1, 0), 11u);
  EXPECT_EQ(table.get(key), number("12"));
  EXPECT_FALSE(changes().at(0).record.secret);
  table.put(key, true, number("7"), 0);
  EXPECT_EQ(table.reserve(key, 1, 0), 7u);
  EXPECT_TRUE(changes().at(0).record.secret) << "it stays one";
  for (const char* const none : {"", "x", "7x", " 7", "-7", "18446744073709551616"}) {
    table.put(key, false, number(none), 0);
    EXPECT_EQ(table.reserve(key, 1, 0), std::nullopt) << none;
    EXPECT_EQ(table.get(key), number(none));
  }
  table.put(key, false, number("18446744073709551614"), 0);
  EXPECT_EQ(table.reserve(key, 2, 0), std::nullopt);
  EXPECT_EQ(table.reserve(key, 1, 0), UINT64_MAX - 1);
  table.put(key, false, std::nullopt, 0);
  EXPECT_EQ(table.reserve(key, 1, 0), 1u);
}

TEST_F(ValueChanges, LeapOverWhatMayBeForgotten) {
  const auto number = [](std::uint64_t value) {
    const std::string digits = std::to_string(value);
    return db::ByteString(digits.begin(), digits.end());
  };
  const db::ValueKey sure{"relay", "sure"}, last{"relay", "last"}, full{"relay", "full"};
  table.set_lacks_names();
  table.load({sure, false, number(5), false});
  table.load({key, false, number(5), true});
  table.load({last, false, number(UINT64_MAX - ValueTable::kLeap), true});
  table.load({full, false, number(UINT64_MAX - ValueTable::kLeap + 1), true});
  EXPECT_EQ(table.reserve(sure, 1, 0), 5u);
  EXPECT_EQ(table.reserve(key, 1, 0), 5 + ValueTable::kLeap);
  EXPECT_EQ(table.reserve(key, 1, 0), 6 + ValueTable::kLeap);
  EXPECT_EQ(table.reserve(last, 0, 0), UINT64_MAX);
  EXPECT_EQ(table.reserve(full, 0, 0), std::nullopt);
}

}  // namespace
}  // namespace gatehouse
