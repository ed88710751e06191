// Reads connected UDP sockets that other protocols carry on: many datagrams by one system call, each straight into the
// place behind its header from where it will be written, so that as a rule no byte is moved.
#pragma once

#include <gatehouse/base/bytes.hpp>
#include <gatehouse/base/error.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <memory>

namespace gatehouse {

/// What is remembered about one socket. Small, since there are many.
struct ReceiveHistory {
  std::uint16_t last_turn = 0;     ///< in which it was readable, the lower half of its number
  std::uint16_t predicted = 1472;  ///< bytes: the longest payload of the last batch; at first, of an Ethernet packet
  bool bursting : 1 = false;       ///< more than one datagram waited the last time
  bool aggregates : 1 = false;     ///< UDP_GRO is set: every receive has to know
  bool aggregated : 1 = false;     ///< the last receive brought several datagrams in one
};

/// Whoever takes the datagrams, in their order. Must not close the socket.
template <class Sink>
concept DatagramSink = requires(Sink sink, MutableBytes place, std::size_t payload) {
  /// May more be read in this turn? Asked before each call; what is left stays in the socket.
  { sink.wants_more() } -> std::same_as<bool>;
  /// Where the next datagram may be kept, right behind the last one that was: at least head + 65535 bytes, valid until
  /// room() is called again.
  { sink.room() } -> std::same_as<MutableBytes>;
  /// A datagram of `payload` bytes stands `head` bytes behind the begin of `place`. Returns how many bytes of `place`
  /// are kept: head + payload, with a header that it has written, or 0.
  { sink.take(place, payload) } -> std::same_as<std::size_t>;
};

/// What one readable socket gave.
struct Received {
  std::size_t datagrams = 0;   ///< that the sink was given
  std::size_t reached = 0;     ///< bytes of a room that were written to at most, kept or not
  bool reached_limit = false;  ///< there is more as a rule, but others have their turn
  Error error;                 ///< of the last call: ICMP's word about an earlier datagram. The socket lives on
};

/// One per lane, for all of its sockets; not thread-safe. Has 2.3 MiB of address space, touched only as far as
/// datagrams come that are longer than predicted; allocates nothing after construction.
///
/// A socket that was quiet gets one plain receive. One that was not in the turn before gets recvmmsg() of up to 32
/// datagrams, again while that comes back full, and UDP_GRO, where the kernel has it (5.0; quietly without otherwise):
/// what the kernel has put together then (a sender's UDP_SEGMENT, a card's GRO) is scattered over the predicted places
/// by one recvmsg(), and the sink sees the single datagrams in any case. Only those that do not fit their places are
/// copied: behind a shorter one what follows is moved up, and a batch with a longer one is put aside and laid out anew.
///
/// Cost: 0.25 calls a datagram at 200,000 a second from a plain sender with the lane's pause (BusyBucket), 0.06 of one
/// that segments. Source: kernel udp_recvmsg(), udp_cmsg_recv(), Documentation/networking/segmentation-offloads.rst.
class BatchReceiver {
 public:
  static constexpr std::size_t kMostPerTurn = 128;  ///< datagrams of one socket; one receive may bring more

  BatchReceiver();  ///< throws std::bad_alloc
  BatchReceiver(const BatchReceiver&) = delete;
  BatchReceiver& operator=(const BatchReceiver&) = delete;

  /// Reads a readable, non-blocking socket for one turn and gives what there is to `sink`.
  /// @param turn  a number that grows by one with each turn of the lane
  /// @param head  bytes that stand free before each payload
  template <DatagramSink Sink>
  Received receive(int fd, ReceiveHistory& history, std::uint32_t turn, std::size_t head, Sink&& sink) {
    Received out;
    begin(fd, history, turn);
    for (more_ = true; more_ && !out.reached_limit; out.reached_limit |= out.datagrams >= kMostPerTurn) {
      if (!sink.wants_more()) {
        out.reached_limit = true;
        break;
      }
      const MutableBytes room = sink.room();
      if (const int error = read(fd, history, room, head); error != 0) {
        if (error != EAGAIN && error != EWOULDBLOCK) out.error = Error(error, boost::system::system_category());
        break;
      }
      out.datagrams += hand_out(room, head, sink);
      out.reached = std::max(out.reached, reached_);
    }
    history.bursting = out.datagrams > 1;
    return out;
  }

  /// For tests, and for whoever measures: as on a kernel without UDP_GRO, for sockets that do not have it yet.
  void forgo_aggregation() noexcept { may_aggregate_ = false; }

 private:
  static constexpr std::size_t kMessages = 32;  // of one recvmmsg()
  static constexpr std::size_t kSlots = 128;    // of one recvmsg() of an aggregate
  static constexpr std::size_t kAggregate = 65536;
  static constexpr std::size_t kArea = 256 * 1024;  // what a batch may take of a room

  /// What one message of the kernel brought, in one or two parts.
  struct Message {
    const std::byte* first;
    std::size_t in_first;
    const std::byte* rest;
    std::size_t bytes;
    std::size_t segment;  // of its datagrams but the last, which may be shorter
  };
  struct alignas(cmsghdr) Control {
    std::byte bytes[CMSG_SPACE(sizeof(int))];
  };

  void begin(int fd, ReceiveHistory& history, std::uint32_t turn) noexcept;
  /// One system call, whose messages it leaves in messages_. @return 0 or errno
  int read(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept;
  int read_one(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept;
  int read_batch(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept;
  int read_aggregate(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept;
  void put_aside(std::size_t slot) noexcept;

  /// The messages' datagrams, each behind its header's place.
  template <class Sink>
  std::size_t hand_out(MutableBytes room, std::size_t head, Sink& sink) {
    std::size_t datagrams = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      const Message& message = messages_[i];
      std::size_t from = 0;
      do {
        const std::size_t size = std::min(message.segment, message.bytes - from);
        const MutableBytes place = in_place_ ? room : sink.room();
        copy(message, from, size, place.data() + head);
        const std::size_t kept = sink.take(place, size);
        if (in_place_) room = room.subspan(kept);
        ++datagrams;
        from += size;
      } while (from < message.bytes);
    }
    return datagrams;
  }
  static void copy(const Message& message, std::size_t from, std::size_t size, std::byte* to) noexcept {
    const std::size_t begin = std::min(from, message.in_first);
    const std::size_t in_first = std::min(size, message.in_first - begin);
    if (message.first + begin != to) std::memmove(to, message.first + begin, in_first);
    if (in_first < size)
      std::memcpy(to + in_first, message.rest + (from + in_first - message.in_first), size - in_first);
  }

  bool may_aggregate_ = true;
  bool hot_ = false;       // the socket in hand
  bool more_ = false;      // the last read() suggests another one
  bool in_place_ = false;  // no datagram stands before the place where it will be kept
  std::size_t count_ = 0;
  std::size_t reached_ = 0;
  std::array<Message, kSlots> messages_;
  std::array<mmsghdr, kMessages> headers_{};
  std::array<iovec, 2 * kMessages> parts_{};
  std::array<iovec, kSlots + 1> slots_{};
  std::array<Control, kMessages> controls_{};
  std::unique_ptr<std::byte[]> spill_;  // kAggregate for each of kMessages
  std::unique_ptr<std::byte[]> aside_;  // kArea, kAggregate at least
};

}  // namespace gatehouse
