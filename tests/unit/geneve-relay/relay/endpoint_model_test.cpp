// An endpoint beside a model of it that remembers everything: two clients of either form that move, and a network that
// loses, doubles, delays and reorders what they send, and replays it from elsewhere.
#include "plugins/geneve-relay/relay/endpoint.hpp"
#include "tests/unit/geneve-relay/relay_fixture.hpp"

#include <random>
#include <set>

namespace gatehouse::geneve_relay {
namespace {

/// What must happen, by the rules as people would write them down.
class Model {
 public:
  struct Issued {  // a challenge that the relay has sent
    LegIndex leg;
    WireForm form;
    std::uint32_t generation;
    LegAddress path;
    Challenge challenge;
    int secret;
  };
  struct Leg {
    std::optional<std::pair<WireForm, std::uint32_t>> in_progress;
    std::optional<LegAddress> bound;
  };

  void look_at_clock(SteadyTime now) {
    if (now - secret_made_ < 2min) return;
    ++secret_;
    secret_made_ = now;
  }

  void bind(LegIndex leg, const BindMessage& message) { legs[leg].in_progress = {message.form, message.generation}; }
  void challenged(LegIndex leg, const BindMessage& challenge, const LegAddress& path) {
    issued_.push_back({leg, challenge.form, challenge.generation, path, challenge.challenge, secret_});
  }
  /// Binds the leg, or says why not.
  std::optional<Drop> answer(LegIndex leg, const BindMessage& message, const LegAddress& from) {
    Leg& mine = legs[leg];
    if (!mine.in_progress) return Drop::no_handshake;
    if (*mine.in_progress != std::pair(message.form, message.generation)) return Drop::other_generation;
    const bool was_issued = std::ranges::any_of(issued_, [&](const Issued& one) {
      return one.leg == leg && one.form == message.form && one.generation == message.generation && one.path == from &&
             one.challenge == message.challenge && one.secret >= secret_ - 1;
    });
    if (!was_issued) return Drop::wrong_challenge;
    mine.bound = from;
    mine.in_progress.reset();
    std::erase_if(issued_,
                  [leg](const Issued& one) { return one.leg == leg; });  // challenges are of what is bound, too
    return std::nullopt;
  }
  OrDrop<LegIndex> data(const LegAddress& from) {
    if (!legs[0].bound || !legs[1].bound) return Drop::not_bound;
    for (const bool exactly : {true, false})
      for (LegIndex leg = 0; leg < 2; ++leg)
        if (exactly ? *legs[leg].bound == from : legs[leg].bound->remote == from.remote) return 1 - leg;
    return Drop::unbound_source;
  }

  std::array<Leg, 2> legs;

 private:
  std::vector<Issued> issued_;
  SteadyTime secret_made_{1h};
  int secret_ = 0;
};

struct ControlPacket {
  LegIndex leg;
  BindMessage message;
  LegAddress from;
};
struct ChallengePacket {
  LegIndex leg;
  BindMessage message;
  LegAddress path;
};

class World : public RelayFixture {
 public:
  explicit World(unsigned seed) : random_(seed) {
    for (Client& client : parties_) client = {pick(2) == 0 ? WireForm::first : WireForm::current, 0, pick(kPlaces)};
  }

  void step() {
    switch (pick(10)) {
      case 0: now += std::chrono::seconds(pick(4) == 0 ? 130 : pick(30)); break;
      case 1: parties_[pick(2)].place = pick(kPlaces); break;  // a NAT, or a person, that moves
      case 2:
      case 3: send_bind(pick(2)); break;
      case 4: replay(); break;
      case 5: send_data(); break;
      case 6: client_gets_challenge(); break;
      default: relay_gets_control(); break;
    }
    compare();
  }

  std::size_t bound = 0, moved = 0, relayed = 0;  // that something happens at all
  std::set<Drop> dropped;

 private:
  static constexpr std::size_t kPlaces = 4;
  struct Client {
    WireForm form = WireForm::current;
    std::uint32_t generation = 0;
    std::size_t place = 0;
  };

  std::size_t pick(std::size_t below) { return random_() % below; }

  /// Places differ in address, in port only, and in the relay's address only.
  static LegAddress path(std::size_t place) {
    static const std::array<LegAddress, kPlaces> kPaths = {
        LegAddress{remote("192.0.2.10:1"), IpAddress::parse("192.0.2.1").value()},
        LegAddress{remote("192.0.2.10:2"), IpAddress::parse("192.0.2.1").value()},
        LegAddress{remote("192.0.2.10:2"), IpAddress::parse("192.0.2.2").value()},
        LegAddress{remote("[2001:db8::a]:1"), IpAddress::parse("2001:db8::1").value()}};
    return kPaths[place];
  }

  void send_bind(LegIndex leg) {
    Client& client = parties_[leg];
    if (client.form == WireForm::current && pick(3) > 0) ++client.generation;
    BindMessage bind = first_form(MessageType::bind);
    if (client.form == WireForm::current) bind = message(MessageType::bind, leg, std::max(client.generation, 1U));
    send({leg, bind, path(client.place)});
  }
  void send(const ControlPacket& packet) {
    to_relay_.push_back(packet);
    ever_sent_.push_back(packet);
  }

  /// Takes one of `packets`, anywhere; one time in four it stays there, too, and one in eight it is lost.
  template <class Packet>
  std::optional<Packet> deliver(std::vector<Packet>& packets) {
    if (packets.empty()) return std::nullopt;
    const auto at = packets.begin() + static_cast<std::ptrdiff_t>(pick(packets.size()));
    const Packet out = *at;
    if (pick(4) > 0) packets.erase(at);
    return pick(8) == 0 ? std::nullopt : std::optional(out);
  }

  void client_gets_challenge() {
    const auto got = deliver(to_clients_);
    if (!got) return;
    // It answers whatever comes, from where it is now: mostly where the challenge reached it.
    const LegAddress from = pick(4) == 0 ? path(parties_[got->leg].place) : got->path;
    send({got->leg, answer_to(got->message), from});
  }

  void relay_gets_control() {
    if (const auto got = deliver(to_relay_)) take_and_expect(*got);
  }
  void replay() {
    if (ever_sent_.empty()) return;
    ControlPacket packet = ever_sent_[pick(ever_sent_.size())];
    packet.from = path(pick(kPlaces));
    take_and_expect(packet);
  }

  void take_and_expect(const ControlPacket& packet) {
    model_.look_at_clock(now);
    const auto before = model_.legs[packet.leg].bound;
    const Taken taken = take(packet.leg, packet.message, packet.from);
    if (packet.message.type == MessageType::bind) {
      ASSERT_TRUE(taken.has_value());
      ASSERT_EQ(taken->kind, ControlEffect::Kind::reply);
      model_.bind(packet.leg, packet.message);
      const BindMessage challenge = read_reply(packet.leg, taken->size);
      model_.challenged(packet.leg, challenge, packet.from);
      to_clients_.push_back({packet.leg, challenge, packet.from});
      return;
    }
    const auto refused = model_.answer(packet.leg, packet.message, packet.from);
    ASSERT_EQ(taken.has_value(), !refused) << describe(refused ? *refused : taken.error());
    if (refused) {
      ASSERT_EQ(taken.error(), *refused) << describe(*refused);
      dropped.insert(*refused);
      return;
    }
    ASSERT_EQ(taken->kind, ControlEffect::Kind::answered);
    ++bound;
    if (before && *before != packet.from) ++moved;
  }

  void send_data() {
    const LegAddress from = path(pick(kPlaces));
    const auto expected = model_.data(from);
    const auto got = endpoint.route(from.remote, from.local, now);
    ASSERT_EQ(got.has_value(), expected.has_value());
    if (!expected) {
      ASSERT_EQ(got.error(), expected.error());
      dropped.insert(got.error());
    } else {
      ASSERT_EQ(*got, *expected);
      ++relayed;
    }
  }

  void compare() {
    for (const LegIndex leg : {kA, kB}) {
      const Model::Leg& expected = model_.legs[leg];
      ASSERT_EQ(endpoint.address(leg).is_set(), expected.bound.has_value());
      if (expected.bound) {
        ASSERT_EQ(endpoint.address(leg), *expected.bound);
      }
      using enum HandshakeState;
      ASSERT_EQ(endpoint.state(leg).handshake, expected.bound ? expected.in_progress ? rebinding : HandshakeState::bound
                                               : expected.in_progress ? challenged
                                                                      : none);
    }
  }

  std::mt19937 random_;
  std::array<Client, 2> parties_;
  Model model_;
  std::vector<ControlPacket> to_relay_, ever_sent_;
  std::vector<ChallengePacket> to_clients_;
};

TEST(RelayEndpointModel, DoesWhatTheModelDoes) {
  std::size_t bound = 0, moved = 0, relayed = 0;
  std::set<Drop> dropped;
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    for (int i = 0; i < 300; ++i) {
      SCOPED_TRACE(i);
      world.step();
      if (testing::Test::HasFatalFailure()) return;
    }
    bound += world.bound;
    moved += world.moved;
    relayed += world.relayed;
    dropped.merge(world.dropped);
  }
  EXPECT_GT(bound, 500U);
  EXPECT_GT(moved, 150U);
  EXPECT_GT(relayed, 300U);
  EXPECT_EQ(dropped, (std::set{Drop::no_handshake, Drop::other_generation, Drop::wrong_challenge, Drop::not_bound,
                               Drop::unbound_source}));
}

}  // namespace
}  // namespace gatehouse::geneve_relay
