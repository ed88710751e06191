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

}  // namespace
}  // namespace gatehouse
