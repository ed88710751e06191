// How far a client's handshake is and what it was last refused for, as one of a session's two state words.
#pragma once

#include "plugins/geneve-relay/relay/drop.hpp"
#include "plugins/geneve-relay/wire/bind_message.hpp"

#include <string>
#include <string_view>

namespace gatehouse::geneve_relay {

enum class HandshakeState : std::uint8_t {
  none,        ///< nothing valid has come
  challenged,  ///< a Bind was answered, its Answer has not come
  bound,
  rebinding,  ///< bound, and challenged again; data goes where it went
};

/// Who relays what a client sends, where the kernel may (fast_path).
enum class InKernel : std::uint8_t {
  none,       ///< it may not, or there is nothing to relay yet
  there,      ///< the kernel
  metered,    ///< user space, as for all that follows: a rule counts what goes through
  addresses,  ///< the clients' are of two families, or have a zone
  full,       ///< the kernel has no room
  refused,    ///< by the kernel, for what should not be
};
inline constexpr std::size_t kInKernel = 6;
/// For metrics: "there", "metered".
[[nodiscard]] std::string_view to_text(InKernel state) noexcept;

/// A value of eight bytes.
struct LegState {
  HandshakeState handshake = HandshakeState::none;
  WireForm form = WireForm::current;  ///< of the last valid Bind
  InKernel kernel = InKernel::none;
  Drop last_refusal{};         ///< of what came from this client, or in its name, where there are `refusals`
  std::uint32_t refusals = 0;  ///< stays at the largest number

  void refuse(Drop why) noexcept;
  /// A Bind was answered and waits for its Answer.
  [[nodiscard]] bool is_challenged() const noexcept {
    return handshake == HandshakeState::challenged || handshake == HandshakeState::rebinding;
  }

  /// For Session::set_state.
  [[nodiscard]] std::uint64_t to_word() const noexcept;
  /// Of whatever word: unknown numbers, as of a later version, come out as none.
  [[nodiscard]] static LegState from_word(std::uint64_t word) noexcept;
  /// "bound", "no handshake yet; refused 3 times, last: the box does not open"
  [[nodiscard]] std::string to_string() const;

  bool operator==(const LegState&) const = default;
};
static_assert(sizeof(LegState) == 8);

/// A session's two state words, those of the legs in the order of their keys, for people.
[[nodiscard]] std::string describe_session(std::uint64_t first, std::uint64_t second);

}  // namespace gatehouse::geneve_relay
