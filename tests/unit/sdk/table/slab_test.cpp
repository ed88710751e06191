#include <gatehouse/table/slab.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <stdexcept>
#include <vector>

namespace gatehouse {
namespace {

using Numbers = Slab<int, 4>;

TEST(Slab, KeepsValuesInPlace) {
  Numbers slab;
  const SlotHandle first = slab.emplace(1);
  int* const place = slab.at(first);
  for (int i = 2; i < 100; ++i) (void)slab.emplace(i);
  EXPECT_EQ(slab.at(first), place);
  EXPECT_EQ(*place, 1);
  EXPECT_EQ(slab.size(), 99u);
}

TEST(Slab, KnowsStaleHandles) {
  Numbers slab;
  const SlotHandle old = slab.emplace(1);
  const SlotHandle other = slab.emplace(2);
  EXPECT_TRUE(slab.erase(old));
  EXPECT_EQ(slab.at(old), nullptr);
  EXPECT_FALSE(slab.erase(old));
  const SlotHandle reused = slab.emplace(3);
  EXPECT_EQ(reused.slot(), old.slot());
  EXPECT_EQ(slab.at(old), nullptr);
  EXPECT_EQ(*slab.at(reused), 3);
  EXPECT_EQ(*slab.at(other), 2);
}

TEST(Slab, KnowsStaleHandlesAfterItWasEmpty) {
  Numbers slab;
  const SlotHandle old = slab.emplace(1);
  slab.erase(old);
  const SlotHandle fresh = slab.emplace(2);
  EXPECT_EQ(fresh.slot(), old.slot());
  EXPECT_EQ(slab.at(old), nullptr);
}

TEST(Slab, TakesNoOtherNumberForAHandle) {
  Numbers slab;
  (void)slab.emplace(1);
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{UINT32_MAX}, UINT64_MAX})
    EXPECT_EQ(slab.at(SlotHandle{value}), nullptr) << value;
}

TEST(Slab, GivesMemoryBackWhenEmpty) {
  Numbers slab;
  std::vector<SlotHandle> handles;
  for (int i = 0; i < 1000; ++i) handles.push_back(slab.emplace(i));
  const std::size_t full = slab.memory();
  for (const SlotHandle handle : handles) slab.erase(handle);
  EXPECT_TRUE(slab.empty());
  EXPECT_LT(slab.memory(), full / 2);
}

TEST(Slab, DestroysEachValueOnce) {
  const auto counted = std::make_shared<int>(0);
  {
    Slab<std::shared_ptr<int>> slab;
    const SlotHandle gone = slab.emplace(counted);
    (void)slab.emplace(counted);
    (void)slab.emplace(counted);
    slab.erase(gone);
    EXPECT_EQ(counted.use_count(), 3);
    slab.clear();
    EXPECT_EQ(counted.use_count(), 1);
    (void)slab.emplace(counted);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

TEST(Slab, IsUnchangedWhenAConstructorThrows) {
  struct Picky {
    explicit Picky(bool fail) {
      if (fail) throw std::runtime_error("no");
    }
  };
  Slab<Picky> slab;
  const SlotHandle erased = slab.emplace(false);
  (void)slab.emplace(false);
  slab.erase(erased);
  EXPECT_THROW((void)slab.emplace(true), std::runtime_error);
  EXPECT_EQ(slab.size(), 1u);
  EXPECT_EQ(slab.emplace(false).slot(), erased.slot());
  EXPECT_EQ(slab.emplace(false).slot(), 2u);
}

TEST(Slab, MayBeErasedFromByADestructor) {
  struct Parent {
    Parent(Slab<Parent>* where, SlotHandle erased_along) : slab(where), child(erased_along) {}
    Slab<Parent>* slab;
    SlotHandle child;
    ~Parent() { slab->erase(child); }
  };
  Slab<Parent> slab;
  const SlotHandle child = slab.emplace(&slab, SlotHandle{});
  const SlotHandle parent = slab.emplace(&slab, child);
  slab.erase(parent);
  EXPECT_TRUE(slab.empty());
}

TEST(Slab, SweepsEachValueOnceInSlices) {
  Numbers slab;
  for (int i = 0; i < 50; ++i) (void)slab.emplace(i);
  std::multiset<int> seen;
  std::uint32_t cursor = 0;
  std::size_t slices = 1;
  while (!slab.sweep(cursor, 8, [&](SlotHandle, int& value) { seen.insert(value); })) ++slices;
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 50u);
  EXPECT_EQ(slices, 7u);
  EXPECT_EQ(cursor, 0u);
}

TEST(Slab, MayBeEmptiedWhileItIsSwept) {
  Numbers slab;
  for (int i = 0; i < 50; ++i) (void)slab.emplace(i);
  std::uint32_t cursor = 0;
  while (!slab.sweep(cursor, 8, [&](SlotHandle handle, int&) { slab.erase(handle); })) {
  }
  EXPECT_TRUE(slab.empty());
}

}  // namespace
}  // namespace gatehouse
