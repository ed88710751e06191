// Any bytes as what happens to an endpoint, four for each event: two clients with true keys that send what they like
// from where they like, time, data, policy. A client is only ever bound where it has answered a challenge that went
// there.
#include "plugins/geneve-relay/relay/endpoint.hpp"
#include "plugins/geneve-relay/wire/random_pool.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

namespace {

using namespace gatehouse;
using namespace gatehouse::geneve_relay;

constexpr std::uint32_t kVni = 7;

DiscoSecret secret(unsigned char fill) {
  std::array<std::byte, SecretBytes::kSize> bytes;
  bytes.fill(std::byte{fill});
  return DiscoSecret(bytes);
}

/// Keys cost more than all events of an input.
struct Keys {
  const DiscoSecret server = secret(1), a = secret(2), b = secret(3);
  const DiscoKey server_key = server.public_key();
  const DiscoPair clients{a.public_key(), b.public_key()};
  const std::array<SharedKey, 2> shared{*SharedKey::make(clients.keys[0], server),
                                        *SharedKey::make(clients.keys[1], server)};
};

struct Event {
  std::uint8_t what, leg, place, number;
};

class World {
 public:
  void happen(const Event& event) {
    switch (event.what % 8) {
      case 0:
      case 1: send_bind(event); break;
      case 2:
      case 3: answer(event); break;
      case 4: send_data(event); break;
      case 5: now_ += std::chrono::seconds(event.number); break;
      case 6: endpoint_.set_permitted(event.leg % 2, event.number % 2 == 0); break;
      default: send_changed(event); break;
    }
    for (const LegIndex leg : {0, 1}) {
      const LegState& state = endpoint_.state(leg);
      require(LegState::from_word(state.to_word()) == state);
      require(endpoint_.address(leg) == bound_[leg]);
    }
  }

 private:
  struct Challenged {
    BindMessage message;
    LegAddress path;
  };

  static LegAddress path(std::uint8_t place) {
    return {{IpAddress::v4(0xc0000200U + place % 4), static_cast<std::uint16_t>(1 + place / 4 % 4)},
            IpAddress::v4(0xc6336400U + place / 16 % 4)};
  }

  OrDrop<ControlEffect> take(LegIndex leg, Bytes plain, const LegAddress& from) {
    std::array<std::byte, kEnvelopeOverhead + kLargestBindMessage> wire;
    const std::size_t size = seal_envelope(wire, keys().clients.keys[leg], keys().shared[leg], random_, plain);
    secrets_.look_at_clock(now_);
    HandshakeTools tools{keys().server_key, secrets_, random_};
    return endpoint_.take_control(leg, read_envelope(Bytes(wire).first(size)).value(), from, tools, reply_);
  }
  OrDrop<ControlEffect> take(LegIndex leg, const BindMessage& message, const LegAddress& from) {
    std::array<std::byte, kLargestBindMessage> plain;
    return take(leg, Bytes(plain).first(write_bind_message(plain, message)), from);
  }

  void send_bind(const Event& event) {
    const LegIndex leg = event.leg % 2;
    BindMessage bind{MessageType::bind, WireForm::first, 0, 0, {}, {}};
    if (event.what % 8 == 0)
      bind = {MessageType::bind, WireForm::current, kVni, event.number % 4U, keys().clients.keys[1 - leg], {}};
    const auto taken = take(leg, bind, path(event.place));
    require(taken.has_value() == (bind.form == WireForm::first || bind.generation != 0));
    if (!taken) return;
    require(taken->kind == ControlEffect::Kind::reply && taken->size <= reply_.size());
    const auto envelope = read_envelope(Bytes(reply_).first(taken->size).subspan(kGeneveHeaderSize));
    std::array<std::byte, kLargestBindMessage> plain;
    const auto opened = open_envelope(*envelope, keys().shared[leg], plain);
    require(opened.has_value());
    challenged_[leg] = Challenged{read_bind_message(*opened).value(), path(event.place)};
  }

  void answer(const Event& event) {
    const LegIndex leg = event.leg % 2;
    if (!challenged_[leg]) return;
    BindMessage answer = challenged_[leg]->message;
    answer.type = MessageType::answer;
    const LegAddress from = path(event.place);
    const auto taken = take(leg, answer, from);
    if (!taken) return;
    require(taken->kind == ControlEffect::Kind::answered && from == challenged_[leg]->path);
    challenged_[leg].reset();
    if (event.number % 8 == 0) return endpoint_.refuse(leg, Drop::denied);
    endpoint_.bind(leg, from, now_);
    bound_[leg] = from;
  }

  void send_data(const Event& event) {
    const LegAddress from = path(event.place);
    const auto to = endpoint_.route(from.remote, from.local, now_);
    if (!to) return;
    require(bound_[0].is_set() && bound_[1].is_set() && bound_[1 - *to].remote == from.remote);
  }

  /// A message of which anything may be wrong, and that must not be an Answer to anything.
  void send_changed(const Event& event) {
    const LegIndex leg = event.leg % 2;
    std::array<std::byte, kLargestBindMessage> plain{};
    write_bind_message(plain, {MessageType::answer, WireForm::current, kVni, 1, keys().clients.keys[1 - leg], {}});
    plain[event.number % plain.size()] ^= std::byte{event.place};
    const std::size_t size = event.leg / 2 % (plain.size() + 1);
    const auto taken = take(leg, Bytes(plain).first(size), path(event.place));
    require(!taken || taken->kind == ControlEffect::Kind::reply);
    if (taken) challenged_[leg].reset();  // it was a Bind
  }

  static const Keys& keys() {
    static const Keys kKeys;
    return kKeys;
  }

  RandomPool random_;
  SteadyTime now_{std::chrono::hours(1)};
  ChallengeSecrets secrets_{random_, now_};
  RelayEndpoint endpoint_{kVni, keys().clients, keys().shared, now_};
  std::array<std::byte, kLargestReply> reply_;
  std::array<std::optional<Challenged>, 2> challenged_;
  std::array<LegAddress, 2> bound_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  for (std::size_t at = 0; at + 4 <= std::min<std::size_t>(size, 4000); at += 4)
    world.happen({data[at], data[at + 1], data[at + 2], data[at + 3]});
  return 0;
}
