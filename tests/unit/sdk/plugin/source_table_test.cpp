#include <gatehouse/plugin/source_table.hpp>

#include "tests/unit/allocations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>
#include <string>

namespace gatehouse {
namespace {

using namespace std::chrono_literals;

struct Client : SourceClient {
  Client(SourceTable& of, const char* address, const char* identity = "") : table(of) {
    table.add(*this, *address == '\0' ? IpAddress() : IpAddress::parse(address).value(), identity);
  }
  ~Client() { table.remove(*this); }
  void active(int second) { last_active = SteadyTime(std::chrono::seconds(second)); }
  SourceTable& table;
};

TEST(SourceTable, NamesNobodyWhenItIsEmpty) {
  SourceTable table;
  EXPECT_EQ(table.idlest(), nullptr);
  EXPECT_EQ(table.busiest(), nullptr);
  { const Client gone(table, "192.0.2.1"); }
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.idlest(), nullptr);
}

TEST(SourceTable, CountsTheClientsOfASourceOrOfTheNetworkAroundIt) {
  SourceTable table;
  const Client one(table, "192.0.2.1"), two(table, "192.0.2.1"), bob(table, "192.0.2.1", "token:bob");
  const Client six(table, "2001:db8::1"), other_six(table, "2001:db8:0:5::1");
  const auto count = [&](const char* address, const char* identity = "") {
    return table.clients_of(IpAddress::parse(address).value(), identity);
  };
  EXPECT_EQ(count("192.0.2.1"), 2u);
  EXPECT_EQ(count("192.0.2.2"), 0u);
  EXPECT_EQ(count("192.0.2.2", "token:bob"), 1u);
  EXPECT_EQ(count("2001:db8:0:9::1"), 2u) << "of the /48";
  EXPECT_EQ(count("2001:db8:1::1"), 0u);
}

TEST(SourceTable, TheSourceWithMostClientsGivesWay) {
  SourceTable table;
  Client one(table, "192.0.2.1");
  Client first(table, "192.0.2.2"), second(table, "192.0.2.2");
  EXPECT_EQ(table.idlest(), &first);
  table.remove(first);
  Client third(table, "192.0.2.1");
  EXPECT_EQ(table.idlest(), &one);
}

TEST(SourceTable, AnIdentityAnAddressAndANetworkAreSources) {
  SourceTable table;
  Client a(table, "2001:db8::1"), b(table, "2001:db8::ffff:0:0:1");
  Client c(table, "2001:db8:1::1"), d(table, "192.0.2.1");
  EXPECT_EQ(table.idlest(), &a) << "two of one /64";
  Client e(table, "198.51.100.1", "token:bob"), f(table, "198.51.100.2", "token:bob"), g(table, "", "token:bob");
  EXPECT_EQ(table.idlest(), &e) << "three of one identity";
}

TEST(SourceTable, OfItsClientsTheOneGoesThatWasIdleForLongest) {
  SourceTable table;
  std::deque<Client> clients;
  for (int i = 0; i < 10; ++i) clients.emplace_back(table, "192.0.2.1");
  for (int i = 0; i < 10; ++i)
    if (i != 6) clients[static_cast<std::size_t>(i)].active(10 + i);
  EXPECT_EQ(table.idlest(), &clients[6]);
  table.remove(clients[6]);
  clients[0].active(100);
  EXPECT_EQ(table.idlest(), &clients[1]) << "all were active, this one least lately";
}

TEST(SourceTable, LooksAtABoundedNumberOfClientsThatAreAllActive) {
  SourceTable table;
  std::deque<Client> clients;
  for (std::size_t i = 0; i < 10 * SourceTable::kMostLooks; ++i) clients.emplace_back(table, "192.0.2.1").active(1);
  for (Client& client : clients) client.active(2);
  std::set<SourceClient*> found;
  for (int i = 0; i < 10; ++i) found.insert(table.idlest());
  EXPECT_EQ(found.size(), 10u) << "each look goes on where the last one ended";
}

TEST(SourceTable, TheBusiestClientIsOfTheSourceWithMostFlows) {
  SourceTable table;
  Client lone(table, "192.0.2.1"), a(table, "192.0.2.2"), b(table, "192.0.2.2");
  EXPECT_EQ(table.busiest(), nullptr) << "nobody has flows";
  table.set_flows(lone, 5);
  table.set_flows(a, 3);
  table.set_flows(b, 4);
  EXPECT_EQ(table.busiest(), &b) << "7 flows of one source";
  table.set_flows(b, 1);
  EXPECT_EQ(table.busiest(), &lone);
  table.remove(lone);
  EXPECT_EQ(table.busiest(), &a);
}

TEST(SourceTable, FlowsComeAndGoWithoutAnAllocation) {
  SourceTable table;
  std::deque<Client> clients;
  for (int i = 0; i < 100; ++i) clients.emplace_back(table, "192.0.2.1");
  const std::size_t before = allocations();
  for (std::uint64_t flows : {1, 0, 2})
    for (Client& client : clients) table.set_flows(client, flows);
  EXPECT_EQ(allocations(), before);
  EXPECT_NE(table.busiest(), nullptr);
  for (Client& client : clients) table.set_flows(client, 0);
  EXPECT_EQ(table.busiest(), nullptr);
  EXPECT_EQ(table.busiest_beside(clients[0]), nullptr);
}

TEST(SourceTable, WhoHasANetworkIsNotMany) {
  SourceTable table;
  std::deque<Client> honest;
  for (int i = 0; i < 3; ++i) honest.emplace_back(table, "192.0.2.1");
  for (int i = 0; i < 3; ++i) honest.emplace_back(table, "", "token:bob");
  for (int i = 0; i < 3; ++i) honest.emplace_back(table, "2001:db8:1::1");
  std::deque<Client> many;  // one for each /64 of a /48
  for (int i = 0; i < 1000; ++i) many.emplace_back(table, ("2001:db8:0:" + std::to_string(i) + "::1").c_str());
  for (Client& client : honest) table.set_flows(client, 51);
  for (Client& client : many) table.set_flows(client, 2);
  const auto is_of_many = [&](const SourceClient* client) {
    return std::any_of(many.begin(), many.end(), [&](const Client& one) { return &one == client; });
  };
  for (int left = 1000; left > 3; --left) {
    SourceClient* const idlest = table.idlest();
    ASSERT_TRUE(is_of_many(idlest)) << left;
    EXPECT_EQ(is_of_many(table.busiest()), 2 * left > 3 * 51) << left;
    table.remove(*idlest);
  }
  Client& fourth = honest.emplace_back(table, "192.0.2.1");
  EXPECT_EQ(table.idlest(), &honest.front()) << "now it has most";
  table.remove(fourth);
}

TEST(SourceTable, OfANetworkTheSourceWithMostGivesWay) {
  SourceTable table;
  Client lone(table, "192.0.2.1"), a(table, "2001:db8:0:1::1"), b(table, "2001:db8:0:2::1"),
      c(table, "2001:db8:0:2::2");
  EXPECT_EQ(table.idlest(), &b);
  table.set_flows(a, 9);
  table.set_flows(b, 3);
  table.set_flows(c, 4);
  table.set_flows(lone, 17);
  EXPECT_EQ(table.busiest(), &lone);
  table.set_flows(a, 11);
  EXPECT_EQ(table.busiest(), &a) << "18 of the /48, 11 of these of one /64";
  EXPECT_EQ(table.busiest_beside(b), &c) << "limits are those of the /64";
}

TEST(SourceTable, ThoseBesideAClientShareItsLimits) {
  SourceTable table;
  Client a(table, "192.0.2.1"), b(table, "192.0.2.1"), other(table, "192.0.2.9");
  table.set_flows(other, 100);
  EXPECT_EQ(table.busiest_beside(a), nullptr);
  table.set_flows(b, 2);
  EXPECT_EQ(table.busiest_beside(a), &b);
  Client c(table, "127.0.0.1"), d(table, "127.0.0.1"), e(table, ""), f(table, "127.0.0.1", "token:bob");
  table.set_flows(d, 2);
  table.set_flows(f, 2);
  EXPECT_EQ(table.busiest_beside(c), nullptr) << "clients from loopback share no limits";
  EXPECT_EQ(table.busiest_beside(e), nullptr);
  EXPECT_EQ(table.busiest_beside(d), &d);
  EXPECT_EQ(table.busiest_beside(f), &f);
}

}  // namespace
}  // namespace gatehouse
