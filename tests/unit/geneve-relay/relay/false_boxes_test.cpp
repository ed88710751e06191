// A flood in one name: what it costs, and whom it leaves alone.
#include "plugins/geneve-relay/relay/false_boxes.hpp"

#include "plugins/geneve-relay/wire/cryptography.hpp"
#include "tests/unit/geneve-relay/vectors.hpp"

#include <gtest/gtest.h>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRate = 100, kAtOnce = 2 * kRate;  // two seconds of it

class FalseBoxesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { EXPECT_TRUE(prepare_cryptography()); }

  FalseBoxes::Attempt attempt(const std::string& who, std::uint32_t vni, std::uint32_t source, bool is_known = false) {
    return boxes.attempt(public_of(who), vni, IpAddress::v4(0x0a000000 + source), is_known);
  }
  /// From ever new sources. @return how many of them were opened
  std::uint64_t flood(const std::string& who, std::uint32_t vni, std::uint32_t count, std::uint64_t cost = 1) {
    std::uint64_t out = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      auto one = attempt(who, vni, 1000 + i);
      if (!one.may_cost(kRate, cost, now)) continue;
      one.charge(kRate, cost, now);
      ++out;
    }
    return out;
  }

  SteadyTime now{100s};
  FalseBoxes boxes;
};

TEST_F(FalseBoxesTest, BoundAFloodInOneName) {
  EXPECT_EQ(flood("a", 7, 5000), kAtOnce);
  now += 1s;
  EXPECT_EQ(flood("a", 7, 5000), kRate);
  now += 1h;
  EXPECT_EQ(flood("a", 7, 5000, 50), kAtOnce / 50) << "what costs more is fewer";
}

TEST_F(FalseBoxesTest, LeaveOtherNamesAlone) {
  flood("a", 7, 5000);
  EXPECT_FALSE(attempt("a", 7, 1).may_cost(kRate, 1, now));
  EXPECT_TRUE(attempt("b", 7, 1).may_cost(kRate, 1, now));
  EXPECT_TRUE(attempt("a", 8, 1).may_cost(kRate, 1, now)) << "the client's other endpoints";
}

TEST_F(FalseBoxesTest, LetTheOwnerGoOnFromWhereItWas) {
  attempt("a", 7, 1).remember();
  flood("a", 7, 5000);
  EXPECT_TRUE(attempt("a", 7, 1).is_familiar());
  EXPECT_TRUE(attempt("a", 7, 1).may_cost(kRate, 1, now));
  EXPECT_TRUE(attempt("a", 7, 2, true).may_cost(kRate, 1, now)) << "as the caller says";
  EXPECT_FALSE(attempt("a", 7, 2).may_cost(kRate, 1, now)) << "a strange one";
  EXPECT_FALSE(boxes.attempt(public_of("a"), 7, IpAddress::v4(0x0a000002)).is_familiar()) << "nobody says anything";
  EXPECT_FALSE(attempt("b", 7, 1).is_familiar());
  EXPECT_FALSE(attempt("a", 8, 1).is_familiar());
}

TEST_F(FalseBoxesTest, BoundWhatComesFromFamiliarSourcesToo) {
  attempt("a", 7, 1).remember();
  std::uint64_t opened = 0;
  for (int i = 0; i < 5000; ++i) {
    auto one = attempt("a", 7, 1);
    if (!one.may_cost(kRate, 1, now)) continue;
    one.charge(kRate, 1, now);
    ++opened;
  }
  EXPECT_EQ(opened, kAtOnce) << "sources are easily forged";
}

TEST_F(FalseBoxesTest, HaveRoomOfAFixedSize) { EXPECT_LE(sizeof(FalseBoxes), 16u + 48 * 1024); }

/// Names by number: each with an endpoint of its own.
class ManyNames : public FalseBoxesTest {
 protected:
  FalseBoxes::Attempt name(std::uint32_t number, std::uint32_t source = 1) { return attempt("a", number, source); }
  void spend(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) name(first + i).charge(1, FalseBoxes::kSeconds, now);
  }
};

// Each of the two tables has 1 - 1/e^(1/2) of its places spent: other names find both of theirs so in 15 of 100 cases,
// where one table for both would make it 40.
TEST_F(ManyNames, AreHeldOnlyWhereBothOfTheirPlacesAreSpent) {
  for (std::uint32_t i = 0; i < 20'000; ++i) name(100'000 + i).remember();  // has no part in it
  spend(1, 512);
  std::size_t held = 0;
  for (std::uint32_t i = 0; i < 4000; ++i) held += !name(10'000 + i).may_cost(1, 1, now);
  EXPECT_GT(held, 400u);
  EXPECT_LT(held, 1000u);
}

// Of 400, some 20 have their places in the table taken by others of them.
TEST_F(ManyNames, LeaveFamiliarSourcesFamiliarWhateverTheySpend) {
  for (std::uint32_t i = 1; i <= 400; ++i) name(i).remember();
  spend(10'000, 5000);
  std::size_t familiar = 0;
  for (std::uint32_t i = 1; i <= 400; ++i) familiar += name(i).is_familiar();
  EXPECT_GT(familiar, 340u);
}

TEST_F(FalseBoxesTest, AreNotBoundedByARateOfZero) {
  for (int i = 0; i < 5000; ++i) attempt("a", 7, 1).charge(0, 1, now);
  EXPECT_TRUE(attempt("a", 7, 1).may_cost(0, 1, now));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
