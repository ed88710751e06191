// What a plugin leaves with the host: descriptors, and the addresses that are its own.
#include <gatehouse/plugin/kept_fds.hpp>
#include <gatehouse/plugin/policy_client.hpp>
#include <gatehouse/testkit/fake_host.hpp>

#include <gmock/gmock.h>

#include <sys/stat.h>
#include <unistd.h>

namespace gatehouse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

ino_t inode_of(int fd) {
  struct stat about {};
  EXPECT_EQ(fstat(fd, &about), 0);
  return about.st_ino;
}

TEST(KeptFds, ComeBackOnceAsDuplicates) {
  testkit::FakeHost fake;
  const Host host(fake.table(), "test");
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  EXPECT_THAT(take_fds(host, "queues"), IsEmpty());
  ASSERT_TRUE(keep_fds(host, "queues", ends).has_value());
  const std::vector<UniqueFd> taken = take_fds(host, "queues");
  ASSERT_THAT(taken, SizeIs(2));
  EXPECT_NE(taken[0].get(), reader.get());
  EXPECT_EQ(inode_of(taken[0].get()), inode_of(reader.get()));
  EXPECT_THAT(take_fds(host, "queues"), IsEmpty());
}

TEST(KeptFds, AreTakenHoweverManyThereAre) {
  testkit::FakeHost fake;
  const Host host(fake.table(), "test");
  const std::vector<int> many(100, STDERR_FILENO);
  ASSERT_TRUE(keep_fds(host, "sockets", many).has_value());
  EXPECT_THAT(take_fds(host, "sockets"), SizeIs(100));
}

TEST(KeptFds, AreRefusedWhereOneIsNoDescriptor) {
  testkit::FakeHost fake;
  const Host host(fake.table(), "test");
  EXPECT_EQ(keep_fds(host, "queues", std::vector<int>{-1}).error(), Errc::io);
}

TEST(ClaimPrefixes, TellTheHostTheAddressesThatAreThePluginsOwn) {
  testkit::FakeHost fake;
  const Host host(fake.table(), "test");
  const std::vector<Prefix> own = {Prefix::parse("10.7.0.0/16").value(), Prefix::parse("fd00:7::/64").value()};
  ASSERT_TRUE(claim_prefixes(host, own).has_value());
  EXPECT_THAT(fake.claims(), ElementsAre(own[0], own[1]));
  ASSERT_TRUE(claim_prefixes(host, {}).has_value());
  EXPECT_THAT(fake.claims(), IsEmpty());
}

}  // namespace
}  // namespace gatehouse
