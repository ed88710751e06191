// What a plugin leaves with the host: descriptors, and the addresses that are its own.
#include <gatehouse/plugin/border.hpp>
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

TEST(Listeners, AreReadFromTheBorder) {
  gh_listener in[3] = {};
  for (gh_listener& one : in) one.struct_size = sizeof one;
  in[0].id = 7;
  in[0].name = to_border("home");
  in[0].role = to_border("listen");
  in[0].identity = to_border("unix:bob");
  in[0].local = to_border(*Endpoint::parse("192.0.2.1:53"));
  in[0].fd = 9;
  in[0].lane = 3;
  in[0].transport = GH_TRANSPORT_UDP;
  in[0].tls = 1;
  in[0].auth = GH_AUTH_TOKEN;
  in[1].auth = GH_AUTH_CERT;
  in[2].auth = GH_AUTH_UNIX;
  const std::vector<Listener> out = from_border(in, 3);
  ASSERT_THAT(out, SizeIs(3));
  EXPECT_EQ(out[0].id, 7u);
  EXPECT_EQ(out[0].name, "home");
  EXPECT_EQ(out[0].role, "listen");
  EXPECT_EQ(out[0].identity, "unix:bob");
  EXPECT_EQ(out[0].local.to_string(), "192.0.2.1:53");
  EXPECT_EQ(out[0].fd, 9);
  EXPECT_EQ(out[0].lane, 3u);
  EXPECT_EQ(out[0].transport, Transport::udp);
  EXPECT_TRUE(out[0].tls);
  EXPECT_FALSE(out[1].tls);
  const auto taken = [&](std::size_t i) {
    return std::vector<bool>{out[i].takes_token, out[i].takes_certificate, out[i].takes_user};
  };
  EXPECT_THAT(taken(0), ElementsAre(true, false, false));
  EXPECT_THAT(taken(1), ElementsAre(false, true, false));
  EXPECT_THAT(taken(2), ElementsAre(false, false, true));
}

}  // namespace
}  // namespace gatehouse
