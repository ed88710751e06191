// Relays bound data packets within the kernel: an XDP program (relay.bpf.c) that has the legs in a map.
//
// The policy stays user space's, so what the caller puts there has been judged, and what it takes away is over:
//
//   - Only a leg whose endpoint is bound on both sides, permitted on both, and metered by nothing: no rate, no quota,
//     no counted allowance (gh_limits.metered). The program knows of none.
//   - On a new generation of the policy endpoints are judged again, and denied ones are erased before anything else is
//     done with them.
//   - Before a leg is bound elsewhere, expires, drains or is denied, and before its VNI is given to somebody else:
//     LegMap::erase() both legs first. What a CPU has in hand at that moment (less than a microsecond) may still leave.
//   - Where a leg moves: erase() first, fold what it says into the endpoint's counters, then put() the new one.
//   - A lane says with each turn of its clock that it turns: beat(). The legs of one that has not for a second
//     (GH_FAST_SILENCE_NS) are user space's, so nothing runs on that nobody judges.
//   - Counters and last_seen here come on top of user space's: one packet of a leg in 15 s goes by way of user space,
//     as does whatever is odd (fragments, options, more than the way's MTU, no next hop just now). An endpoint expires
//     by the later of both.
//
// It is attached by bpf_link alone, and pinned nowhere: it ends with the process, however that ends, so there is
// nothing of a crashed gateway to adopt or to detach. An instance of the plugin that hangs and is given up leaves its
// links in the process: the next one has them from the host, and ends them (end_links()). Kernels without such links
// (before 5.9) could not run the program either; it needs 5.15. Netfilter, conntrack and packet captures do not see
// what is relayed here.
#pragma once

#include "plugins/geneve-relay/fast_path/fast_path_error.hpp"
#include "plugins/geneve-relay/fast_path/leg_map.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

struct bpf_object;

namespace gatehouse::geneve_relay {

/// How a program is run on an interface.
enum class FastMode : std::uint8_t {
  off,
  native,   ///< by the driver, before anything is allocated for a packet
  generic,  ///< by the stack, after it: works everywhere, and costs much more
};

/// How it is to be attached.
enum class AttachWish : std::uint8_t {
  automatic,  ///< native where the driver can, but generic on a veth: its far end takes nothing from a native one,
              ///< silently, unless that has a program of its own, which cannot be seen from here
  native,     ///< or not at all
  generic,
};

/// An interface and how it is served.
struct FastInterface {
  std::string name;
  FastMode mode = FastMode::off;
  std::string why;  ///< why not native: a clause, or with `off` a sentence that says what to do; may be empty

  /// "native on eth0", "generic on eth1 (the driver of eth1 has no native XDP)", "not on eth2: ..."
  [[nodiscard]] std::string to_string() const;
};

/// What the program did with packets to the relay's ports.
struct FastTotals {
  std::array<std::uint64_t, GH_FAST_COUNTS> packets{};  ///< by gh_fast_count
  std::uint64_t bytes = 0;                              ///< UDP payload of those that were relayed

  [[nodiscard]] std::uint64_t of(gh_fast_count what) const noexcept { return packets[what]; }
};
/// The name of a count in metrics: "relayed", "too_big".
[[nodiscard]] std::string_view to_text(gh_fast_count what) noexcept;

/// Ends what these descriptors of links keep attached, also where others have them, too. Links alone: anything else is
/// left.
void end_links(std::span<const UniqueFd> links) noexcept;

/// Constructor, attach(), detach(), set_ports() and make_room(): from one thread at a time. legs(), beat() and
/// totals(): from any threads at once.
class FastPath {
 public:
  /// Loads the program; nothing is relayed before attach() and set_ports(). A few ms.
  /// @param most_endpoints  as LegMap
  /// @throws FastPathError
  explicit FastPath(std::size_t most_endpoints);
  ~FastPath();
  FastPath(const FastPath&) = delete;
  FastPath& operator=(const FastPath&) = delete;

  /// UDP ports of the relay's own, at most GH_FAST_MOST_PORTS; those before are forgotten. @return Errc::invalid
  Result<void> set_ports(std::span<const std::uint16_t> ports) noexcept;

  /// Attaches to an interface, once; an interface that has gone and come again is attached to anew. Never throws for
  /// what the kernel refuses: the result says it, and user space relays what comes there. Where packets come in by one
  /// interface and leave by another, both have to be attached.
  FastInterface attach(const std::string& interface, AttachWish wish = AttachWish::automatic);
  void detach(const std::string& interface) noexcept;
  /// Descriptors of what keeps the program where it is attached; until the next attach() or detach().
  [[nodiscard]] std::vector<int> links() const;
  /// Why a family stays in user space, in sentences; empty where none does.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
  /// For the log: "native on eth0, not on eth1: ..."
  [[nodiscard]] std::string describe() const;

  /// The map that the program looks into now. Locks.
  [[nodiscard]] std::shared_ptr<const LegMap> legs() const;
  /// Rises when legs() becomes another one. One load.
  [[nodiscard]] std::uint32_t legs_number() const noexcept { return legs_number_.load(std::memory_order_acquire); }
  /// Takes an empty map in place of one that has less room. What was in that is user space's until it is put into the
  /// new one; it can be read and erased while somebody has it. Some ms, for millions of endpoints a part of a second.
  /// @throws FastPathError  all is as before
  void make_room(std::size_t most_endpoints);

  /// The lane turns, and so do its legs' packets for another second. A store.
  void beat(std::uint32_t lane, SteadyTime now) noexcept;

  [[nodiscard]] FastTotals totals() const;

 private:
  struct Attached;
  struct CloseObject {
    void operator()(bpf_object* object) const noexcept;
  };
  struct Unmap {
    void operator()(gh_fast_words* words) const noexcept;
  };

  [[nodiscard]] int map(const char* name) const;
  [[nodiscard]] int program_of(const char* name) const;
  void attach_by(Attached& to, AttachWish wish);
  /// @return errno, or 0
  [[nodiscard]] int link(Attached& to, FastMode mode) noexcept;

  std::unique_ptr<bpf_object, CloseObject> object_;
  int present_legs_ = -1, counts_ = -1, all_devices_ = -1, native_devices_ = -1;  // all are the object's
  int native_program_ = -1, generic_program_ = -1;
  std::unique_ptr<gh_fast_words, Unmap> words_;  // the program's own
  mutable std::mutex mutex_;                     // guards legs_
  std::shared_ptr<const LegMap> legs_;
  std::atomic<std::uint32_t> legs_number_{0};
  std::vector<Attached> attached_;
  std::vector<std::string> notes_;
};

}  // namespace gatehouse::geneve_relay
