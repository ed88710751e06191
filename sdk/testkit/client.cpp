#include <gatehouse/testkit/client.hpp>

#include <gatehouse/base/endian.hpp>
#include <gatehouse/packet/frame_reader.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace gatehouse::testkit {
namespace {

void must(bool ok, const char* what) {
  if (!ok) throw std::system_error(errno, std::system_category(), what);
}

UniqueFd connected(int kind, const sockaddr* to, socklen_t size) {
  UniqueFd fd(::socket(to->sa_family, kind | SOCK_CLOEXEC, 0));
  must(static_cast<bool>(fd), "socket");
  const timeval patience{kPatience.count(), 0};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    must(::setsockopt(fd.get(), SOL_SOCKET, option, &patience, sizeof patience) == 0, "setsockopt");
  must(::connect(fd.get(), to, size) == 0, "connect");
  return fd;
}

UniqueFd connected(int kind, const Endpoint& to) {
  sockaddr_storage address{};
  const socklen_t size = to.to_sockaddr(address);
  return connected(kind, reinterpret_cast<const sockaddr*>(&address), size);
}

UniqueFd connected(const std::filesystem::path& to) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  to.string().copy(address.sun_path, sizeof address.sun_path - 1);
  return connected(SOCK_STREAM, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

/// Reads once. @return bytes, 0 at the end of the stream
std::size_t read_some(const UniqueFd& fd, std::span<char> into) {
  ssize_t got;
  do got = ::recv(fd.get(), into.data(), into.size(), 0);
  while (got < 0 && errno == EINTR);
  must(got >= 0, "recv");
  return static_cast<std::size_t>(got);
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  bool holds;
  while (!(holds = condition()) && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return holds;
}

StreamClient::StreamClient(const Endpoint& to) : fd_(connected(SOCK_STREAM, to)) {}
StreamClient::StreamClient(const std::filesystem::path& to) : fd_(connected(to)) {}

void StreamClient::send(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    must(sent >= 0 || errno == EINTR, "send");
    if (sent > 0) bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

void StreamClient::send(std::string_view text) { send(bytes_of(text)); }

std::string StreamClient::receive(std::size_t size) {
  std::string out(size, '\0');
  std::size_t had = 0;
  while (had < size) {
    const std::size_t got = read_some(fd_, std::span(out).subspan(had));
    if (got == 0) break;
    had += got;
  }
  out.resize(had);
  return out;
}

std::string StreamClient::receive_line() {
  std::string line;
  while (line.empty() || line.back() != '\n') {
    const std::string next = receive(1);
    if (next.empty()) break;
    line += next;
  }
  return line;
}

std::string StreamClient::receive_rest() {
  std::string all;
  char part[4096];
  while (const std::size_t got = read_some(fd_, part)) all.append(part, got);
  return all;
}

void StreamClient::finish() { must(::shutdown(fd_.get(), SHUT_WR) == 0, "shutdown"); }

DatagramClient::DatagramClient(const Endpoint& to) : fd_(connected(SOCK_DGRAM, to)) {}

void DatagramClient::send(Bytes datagram) {
  must(::send(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) >= 0, "send");
}

void DatagramClient::send(std::string_view datagram) { send(bytes_of(datagram)); }

std::optional<std::string> DatagramClient::receive(std::chrono::milliseconds within) {
  pollfd ready{fd_.get(), POLLIN, 0};
  const int found = ::poll(&ready, 1, static_cast<int>(within.count()));
  must(found >= 0, "poll");
  if (found == 0) return std::nullopt;
  std::string out(65535, '\0');
  out.resize(read_some(fd_, out));
  return out;
}

void PacketClient::send(Bytes packet) {
  ByteVector frame(kFrameLengthSize + packet.size());
  store_big(std::span(frame), static_cast<std::uint16_t>(packet.size()));
  std::copy(packet.begin(), packet.end(), frame.begin() + kFrameLengthSize);
  stream_.send(frame);
}

ByteVector PacketClient::receive() {
  const std::string length = stream_.receive(kFrameLengthSize);
  if (length.size() < kFrameLengthSize) return {};
  const std::string packet = stream_.receive(load_big<std::uint16_t>(bytes_of(length)));
  const Bytes bytes = bytes_of(packet);
  return {bytes.begin(), bytes.end()};
}

}  // namespace gatehouse::testkit
