// The least that a udpgw server on one core can do, as a yardstick for the real one.
//
// It decodes frames, keeps one connected UDP socket per forward and carries replies back: no policy, no limits, no idle
// times, no bounds on a slow client, IPv4 only. A server that does all that is held against it, in alternating runs.
//
// usage: udpgw_floor PORT   (on 127.0.0.1)
//
// One level-triggered epoll set; per turn every ready socket is read once, then each stream that has output gets one
// write.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

namespace {

struct Stream;
struct Source {
  enum Kind { listener, stream, forward } kind;
  int fd;
};
struct Forward : Source {
  Stream* owner;
  std::uint16_t conid;
  std::uint32_t address;  // network order, as on the wire
  std::uint16_t port;     // network order
};
struct Stream : Source {
  std::unordered_map<std::uint16_t, std::unique_ptr<Forward>> forwards;
  std::vector<std::uint8_t> input = std::vector<std::uint8_t>(256 * 1024), output;
  std::size_t filled = 0;
  ~Stream() {
    for (auto& [conid, one] : forwards) close(one->fd);
    close(fd);
  }
};

int epoll = -1;
std::vector<Stream*> with_output;

void watch(Source* source) {
  epoll_event event{EPOLLIN, {.ptr = source}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, source->fd, &event);
}

Forward* open_forward(Stream* owner, std::uint16_t conid, std::uint32_t address, std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in peer{.sin_family = AF_INET, .sin_port = port, .sin_addr = {address}, .sin_zero = {}};
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&peer), sizeof peer) != 0) return nullptr;
  auto forward = std::make_unique<Forward>(Forward{{Source::forward, fd}, owner, conid, address, port});
  watch(forward.get());
  return (owner->forwards[conid] = std::move(forward)).get();
}

void read_forward(Forward* f) {
  static std::uint8_t datagram[65536];
  const ssize_t n = recv(f->fd, datagram, sizeof datagram, 0);
  if (n < 0) return;
  auto& out = f->owner->output;
  if (out.empty()) with_output.push_back(f->owner);
  const std::size_t at = out.size();
  out.resize(at + 11 + n);
  const auto length = static_cast<std::uint16_t>(9 + n);
  std::memcpy(&out[at], &length, 2);  // little-endian host assumed
  out[at + 2] = 0;
  std::memcpy(&out[at + 3], &f->conid, 2);
  std::memcpy(&out[at + 5], &f->address, 4);
  std::memcpy(&out[at + 9], &f->port, 2);
  std::memcpy(&out[at + 11], datagram, n);
}

bool read_stream(Stream* s) {
  const ssize_t n = read(s->fd, &s->input[s->filled], s->input.size() - s->filled);
  if (n <= 0) return n < 0 && errno == EAGAIN;
  s->filled += n;
  std::size_t at = 0;
  for (std::uint16_t length = 0; s->filled - at >= 2; at += 2 + length) {
    std::memcpy(&length, &s->input[at], 2);
    if (s->filled - at < 2u + length) break;
    const std::uint8_t* body = &s->input[at + 2];
    if (length < 9 || (body[0] & 0x09) != 0) continue;  // keepalive, IPv6, too short
    std::uint16_t conid, port;
    std::uint32_t address;
    std::memcpy(&conid, body + 1, 2);
    std::memcpy(&address, body + 3, 4);
    std::memcpy(&port, body + 7, 2);
    const auto found = s->forwards.find(conid);
    Forward* f = found != s->forwards.end() ? found->second.get() : open_forward(s, conid, address, port);
    if (f != nullptr) send(f->fd, body + 9, length - 9u, 0);
  }
  std::memmove(s->input.data(), &s->input[at], s->filled - at);
  s->filled -= at;
  return true;
}

void write_output(Stream* s) {
  for (std::size_t done = 0; done < s->output.size();) {
    const ssize_t n = write(s->fd, &s->output[done], s->output.size() - done);
    if (n > 0)
      done += n;
    else if (errno != EAGAIN)
      break;
  }
  s->output.clear();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: udpgw_floor PORT\n"), 2;
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  epoll = epoll_create1(EPOLL_CLOEXEC);
  Source listener{Source::listener, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  const int on = 1;
  setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in self{.sin_family = AF_INET,
                   .sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1]))),
                   .sin_addr = {htonl(INADDR_LOOPBACK)},
                   .sin_zero = {}};
  if (bind(listener.fd, reinterpret_cast<sockaddr*>(&self), sizeof self) != 0 || listen(listener.fd, 512) != 0)
    return std::perror("listen"), 1;
  watch(&listener);

  for (epoll_event events[512];;) {
    const int n = epoll_wait(epoll, events, 512, -1);
    std::vector<Stream*> ended;
    for (int i = 0; i < n; ++i) {
      auto* source = static_cast<Source*>(events[i].data.ptr);
      if (source->kind == Source::forward) {
        read_forward(static_cast<Forward*>(source));
      } else if (source->kind == Source::stream) {
        if (auto* s = static_cast<Stream*>(source); !read_stream(s)) ended.push_back(s);
      } else if (const int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        auto* s = new Stream;
        s->kind = Source::stream;
        s->fd = fd;
        watch(s);
      }
    }
    for (Stream* s : with_output) write_output(s);
    with_output.clear();
    for (Stream* s : ended) delete s;
  }
}
