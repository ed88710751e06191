#include "plugins/geneve-relay/relay/leg_state.hpp"

#include <limits>

namespace gatehouse::geneve_relay {
namespace {

// A word: refusals 32 | in the kernel 8 | last refusal + 1, 8 | form 8 | handshake 8
constexpr unsigned kFormAt = 8, kRefusalAt = 16, kKernelAt = 24, kRefusalsAt = 32;

std::string_view words_of(HandshakeState state) noexcept {
  switch (state) {
    case HandshakeState::none: return "no handshake yet";
    case HandshakeState::challenged: return "challenged, has not answered";
    case HandshakeState::bound: return "bound";
    case HandshakeState::rebinding: return "bound, and challenged again";
  }
  return "unknown";
}

/// Behind the handshake's.
std::string_view words_of(InKernel state) noexcept {
  switch (state) {
    case InKernel::none: break;
    case InKernel::there: return ", relayed by the kernel";
    case InKernel::metered: return ", relayed by user space: a rule meters it";
    case InKernel::addresses:
      return ", relayed by user space: the clients' addresses are of two families, or have a zone";
    case InKernel::full: return ", relayed by user space: the kernel has no room for it";
    case InKernel::refused: return ", relayed by user space: the kernel does not take it";
  }
  return "";
}

}  // namespace

std::string_view to_text(InKernel state) noexcept {
  switch (state) {
    case InKernel::none: return "none";
    case InKernel::there: return "there";
    case InKernel::metered: return "metered";
    case InKernel::addresses: return "addresses";
    case InKernel::full: return "full";
    case InKernel::refused: return "refused";
  }
  return "unknown";
}

void LegState::refuse(Drop why) noexcept {
  last_refusal = why;
  if (refusals < std::numeric_limits<std::uint32_t>::max()) ++refusals;
}

std::uint64_t LegState::to_word() const noexcept {
  const std::uint64_t refusal = refusals == 0 ? 0 : static_cast<std::uint64_t>(last_refusal) + 1;
  return static_cast<std::uint64_t>(handshake) | static_cast<std::uint64_t>(form) << kFormAt | refusal << kRefusalAt |
         static_cast<std::uint64_t>(kernel) << kKernelAt | std::uint64_t{refusals} << kRefusalsAt;
}

LegState LegState::from_word(std::uint64_t word) noexcept {
  const auto byte_at = [word](unsigned bit) { return static_cast<std::uint8_t>(word >> bit); };
  LegState out;
  if (byte_at(0) <= static_cast<std::uint8_t>(HandshakeState::rebinding))
    out.handshake = static_cast<HandshakeState>(byte_at(0));
  if (byte_at(kFormAt) == static_cast<std::uint8_t>(WireForm::first)) out.form = WireForm::first;
  if (byte_at(kKernelAt) < kInKernel) out.kernel = static_cast<InKernel>(byte_at(kKernelAt));
  if (const std::uint8_t refusal = byte_at(kRefusalAt); refusal >= 1 && refusal <= kDrops) {
    out.last_refusal = static_cast<Drop>(refusal - 1);
    out.refusals = static_cast<std::uint32_t>(word >> kRefusalsAt);
  }
  return out;
}

std::string LegState::to_string() const {
  std::string out(words_of(handshake));
  if (handshake != HandshakeState::none && form == WireForm::first) out += " (first form)";
  out += words_of(kernel);
  if (refusals == 0) return out;
  return out.append("; refused ")
      .append(std::to_string(refusals))
      .append(refusals == 1 ? " time: " : " times, last: ")
      .append(describe(last_refusal));
}

std::string describe_session(std::uint64_t first, std::uint64_t second) {
  return "first client: " + LegState::from_word(first).to_string() +
         ". Second client: " + LegState::from_word(second).to_string();
}

}  // namespace gatehouse::geneve_relay
