#include "tests/unit/db/store/cases.hpp"

#include <gmock/gmock.h>

namespace gatehouse::db {
namespace {

using namespace std::string_literals;

void remembers_whole_rows(Life& life) {
  SessionRecord roamed = session(3);
  life.write({.sessions = {session(1), session(2), roamed}, .leases = {lease("10.0.0.1", 1), lease("vni:7", 2)}});
  roamed.source = Endpoint::parse("[2001:db8::7]:9").value();
  roamed.last_seen_at += 60;
  roamed.totals.bytes_up += 1'000'000'000'000;
  roamed.blob = std::make_shared<const ByteString>(4096, std::uint8_t{9});
  life.write({.sessions = {roamed}});
  roamed.blob = nullptr;
  life.write({.sessions = {roamed, session(4)}});
}

void moves_and_releases_leases(Life& life) {
  life.write({.sessions = {session(1), session(2)},
              .leases = {lease("10.0.0.1", 1, life.now + 300), lease("10.0.0.2", 1), lease("10.0.0.3", 1)}});
  life.write(
      {.leases = {lease("10.0.0.1", 2, life.now + 900)}, .released = {{"udpgw", "10.0.0.2"}, {"udpgw", "none"}}});
  life.write({.leases = {lease("10.0.0.2", 2)}});
}

void forgets_what_is_over(Life& life) {
  SessionRecord ended = session(1), anonymous = session(2);
  ended.ended_at = 1'700'000'200;
  anonymous.key.clear();
  life.write({.sessions = {ended, anonymous, session(3)},
              .leases = {lease("of-ended", 1), lease("of-keyless", 2), lease("over", 3, life.now),
                         lease("live", 3, life.now + 1), lease("of-nobody", 99)}});
}

void writes_a_batch_again(Life& life) {
  const StoreBatch batch{.sessions = {session(1)},
                         .leases = {lease("a", 1)},
                         .released = {{"udpgw", "b"}},
                         .usage = {usage("token:bob", 10, life.now / 86'400)},
                         .values = {value("counter", "17")}};
  life.write(batch);
  life.write(batch);
  life.write({});
}

void keeps_usage_of_the_month(Life& life) {
  const std::int64_t today = life.now / 86'400;
  life.write({.usage = {usage("token:bob", 10, today), usage("", 5, today), usage("192.0.2.7", 1, today)}});
  life.write({.usage = {usage("token:bob", 30, today)}});
}

void keeps_values_and_secrets(Life& life) {
  life.write({.values = {value("key", "secret bytes", true), value("counter", "1"), value("empty", "")}});
  life.write({.values = {value("key", "other bytes", true), value("counter", "1025"), no_value("empty")}});
  life.write({.values = {value("key", "public now"), value("counter", "hidden now", true)}});
  life.write({.values = {value("key", "hidden again", true), no_value("counter"), no_value("never there")}});
}

void keeps_any_bytes(Life& life) {
  SessionRecord strange = session(1);
  strange.key = "\x00\xff\xfe nul and no text"s;
  strange.identity = "token:b\xc3\xb6"s + "b";
  strange.group_name = "cut utf-8 \xe2\x82"s;
  SessionRecord unnamed = session(2);
  unnamed.source = {};
  unnamed.identity.clear();
  unnamed.group_name.clear();
  unnamed.blob = std::make_shared<const ByteString>();
  life.write({.sessions = {strange, unnamed},
              .leases = {lease("\xed\xa0\x80 surrogate"s, 1), lease("\xf4\x8f\xbf\xbf last", 1), lease("zero\0"s, 1)},
              .values = {value("\x01\x80"s, "\0\0"s), value("sk", std::string(32, '\xaa'), true)}});
}

void takes_many_rows(Life& life) {
  StoreBatch batch;
  for (std::uint64_t i = 1; i <= 90; ++i) {
    batch.sessions.push_back(session(i));
    batch.leases.push_back(lease("10.1.0." + std::to_string(i), i, life.now + 3600));
  }
  life.write(batch);
  life.upkeep();
  StoreBatch half;
  for (std::uint64_t i = 1; i <= 90; i += 2) {
    SessionRecord ended = session(i);
    ended.ended_at = life.now;
    half.sessions.push_back(ended);
    half.released.push_back({"udpgw", "10.1.0." + std::to_string(i)});
  }
  life.write(half);
}

void survives_restarts(Life& life) {
  life.write({.sessions = {session(1)}, .leases = {lease("a", 1)}});
  life.kill();
  life.open();
  life.write({.sessions = {session(2)}, .values = {value("k", "v", true)}});
  life.close();
  life.open();
  life.write({.sessions = {session(3)}, .leases = {lease("a", 3)}});
  life.upkeep();
}

constexpr Case kCases[] = {{"RemembersWholeRows", remembers_whole_rows},
                           {"MovesAndReleasesLeases", moves_and_releases_leases},
                           {"ForgetsWhatIsOver", forgets_what_is_over},
                           {"WritesABatchAgain", writes_a_batch_again},
                           {"KeepsUsageOfTheMonth", keeps_usage_of_the_month},
                           {"KeepsValuesAndSecrets", keeps_values_and_secrets},
                           {"KeepsAnyBytes", keeps_any_bytes},
                           {"TakesManyRows", takes_many_rows},
                           {"SurvivesRestarts", survives_restarts}};

}  // namespace

std::span<const Case> conformance_cases() { return kCases; }

}  // namespace gatehouse::db
