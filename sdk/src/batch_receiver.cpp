// One receive: the places of what is expected -> the system call -> what came, as messages of one or two parts.
#include <gatehouse/net/batch_receiver.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>

#ifndef UDP_GRO
#define UDP_GRO 104  // linux/udp.h, since 5.0
#endif

namespace gatehouse {
namespace {

/// How long the datagrams of an aggregated message are; 0 if it is a single one.
std::size_t segment_of(const msghdr& message) noexcept {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(const_cast<msghdr*>(&message), c)) {
    if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
    int segment = 0;
    std::memcpy(&segment, CMSG_DATA(c), sizeof segment);
    return segment > 0 ? static_cast<std::size_t>(segment) : 0;
  }
  return 0;
}

/// The same where all bytes of the message are one datagram.
std::size_t segment_of(const msghdr& message, std::size_t bytes) noexcept {
  const std::size_t segment = segment_of(message);
  return segment != 0 && segment < bytes ? segment : bytes;
}

std::size_t predicted(const ReceiveHistory& history) noexcept { return std::max<std::size_t>(history.predicted, 1); }

void predict(ReceiveHistory& history, std::size_t payload) noexcept {
  history.predicted = static_cast<std::uint16_t>(std::min<std::size_t>(payload, UINT16_MAX));
}

}  // namespace

BatchReceiver::BatchReceiver()
    : spill_(new std::byte[kMessages * kAggregate]), aside_(new std::byte[std::max(kArea, kAggregate)]) {
  for (std::size_t i = 0; i < kMessages; ++i) {
    parts_[2 * i + 1] = {&spill_[i * kAggregate], kAggregate};
    headers_[i].msg_hdr.msg_iov = &parts_[2 * i];
    headers_[i].msg_hdr.msg_iovlen = 2;
  }
}

void BatchReceiver::begin(int fd, ReceiveHistory& history, std::uint32_t turn) noexcept {
  hot_ = history.bursting || static_cast<std::uint16_t>(turn - history.last_turn) <= 1;
  history.last_turn = static_cast<std::uint16_t>(turn);
  if (!hot_ || history.aggregates || !may_aggregate_) return;
  const int on = 1;
  history.aggregates = setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
  may_aggregate_ = history.aggregates;
}

int BatchReceiver::read(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept {
  in_place_ = true;
  count_ = 0;
  if (history.aggregated) return read_aggregate(fd, history, room, head);
  return hot_ ? read_batch(fd, history, room, head) : read_one(fd, history, room, head);
}

/// What comes first, right into its place. Several datagrams in one are an exception here.
int BatchReceiver::read_one(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept {
  std::byte* const at = room.data() + head;
  iovec part{at, std::min(room.size() - head, kAggregate)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = controls_[0].bytes;
  message.msg_controllen = sizeof controls_[0].bytes;
  const ssize_t got = history.aggregates ? recvmsg(fd, &message, 0) : recv(fd, at, part.iov_len, 0);
  if (got < 0) return errno;
  const auto bytes = static_cast<std::size_t>(got);
  const std::size_t segment = history.aggregates ? segment_of(message, bytes) : bytes;
  messages_[0] = {at, bytes, nullptr, bytes, segment};
  count_ = 1;
  reached_ = head + bytes;
  more_ = false;  // as a rule; else the poller tells
  history.aggregated = segment < bytes;
  if (history.aggregated || segment > history.predicted) predict(history, segment);
  if (history.aggregated) put_aside(bytes);
  return 0;
}

/// Message i where datagram i belongs if all have the predicted size; the rest of a longer one into the spill area.
int BatchReceiver::read_batch(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept {
  const std::size_t slot = std::min(predicted(history), room.size() - head), stride = head + slot;
  const std::size_t most = std::clamp<std::size_t>(std::min(room.size(), kArea) / stride, 1, kMessages);
  for (std::size_t i = 0; i < most; ++i) {
    parts_[2 * i] = {room.data() + i * stride + head, slot};
    msghdr& message = headers_[i].msg_hdr;
    message.msg_control = history.aggregates ? controls_[i].bytes : nullptr;
    message.msg_controllen = history.aggregates ? sizeof controls_[i].bytes : 0;
  }
  const int got = recvmmsg(fd, headers_.data(), static_cast<unsigned>(most), 0, nullptr);
  if (got < 0) return errno;
  count_ = static_cast<std::size_t>(got);
  reached_ = count_ * stride;
  more_ = count_ == most;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const std::size_t bytes = headers_[i].msg_len;
    const std::size_t segment = history.aggregates ? segment_of(headers_[i].msg_hdr, bytes) : bytes;
    messages_[i] = {room.data() + i * stride + head, std::min(bytes, slot), &spill_[i * kAggregate], bytes, segment};
    longest = std::max(longest, segment);
    if (segment < bytes) history.aggregated = true;
    in_place_ &= bytes <= slot && segment == bytes;
  }
  predict(history, longest);
  if (!in_place_) put_aside(slot);
  return 0;
}

/// One message whose datagrams are scattered over their places, the last one into the spill area if there are too many.
int BatchReceiver::read_aggregate(int fd, ReceiveHistory& history, MutableBytes room, std::size_t head) noexcept {
  const std::size_t slot = std::min(predicted(history), room.size() - head), stride = head + slot;
  const std::size_t slots = std::clamp<std::size_t>(std::min(room.size() / stride, kAggregate / slot + 1), 1, kSlots);
  for (std::size_t i = 0; i < slots; ++i) slots_[i] = {room.data() + i * stride + head, slot};
  slots_[slots] = {spill_.get(), kAggregate};
  msghdr message{};
  message.msg_iov = slots_.data();
  message.msg_iovlen = slots + 1;
  message.msg_control = controls_[0].bytes;
  message.msg_controllen = sizeof controls_[0].bytes;
  const ssize_t got = recvmsg(fd, &message, 0);
  if (got < 0) return errno;
  const auto bytes = static_cast<std::size_t>(got);
  const std::size_t segment = segment_of(message, bytes);
  const std::size_t used = std::min((bytes + slot - 1) / slot, slots);
  reached_ = used * stride;
  history.aggregated = more_ = segment < bytes;
  predict(history, segment);
  if (segment == bytes ? bytes <= slot : segment == slot && bytes <= slot * slots) {
    count_ = std::max<std::size_t>(used, 1);
    for (std::size_t i = 0, left = bytes; i < count_; ++i) {
      const std::size_t size = std::min(left, slot);
      messages_[i] = {room.data() + i * stride + head, size, nullptr, size, size};
      left -= size;
    }
    return 0;
  }
  for (std::size_t i = 0, have = 0; have < bytes; ++i) {
    const std::size_t size = std::min(bytes - have, slots_[i].iov_len);
    std::memcpy(&aside_[have], slots_[i].iov_base, size);
    have += size;
  }
  messages_[0] = {aside_.get(), bytes, nullptr, bytes, segment};
  count_ = 1;
  in_place_ = false;
  return 0;
}

/// Takes the messages' first parts, of `slot` bytes each at most, out of the room, since it will be written anew.
void BatchReceiver::put_aside(std::size_t slot) noexcept {
  in_place_ = false;
  for (std::size_t i = 0; i < count_; ++i) {
    std::byte* const to = &aside_[i * slot];
    std::memcpy(to, messages_[i].first, messages_[i].in_first);
    messages_[i].first = to;
  }
}

}  // namespace gatehouse
