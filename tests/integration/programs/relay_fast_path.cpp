// Works the relay's way in the kernel for test_geneve_relay_fast_path.py and relay_xdp_bench.py: commands on the
// standard input, a line each, and a line of answer to each. It is lane 0, which turns until it is told to be silent.
//
//   relay_fast_path MOST_ENDPOINTS
//     ports PORT...      attach INTERFACE automatic|native|generic      detach INTERFACE
//     put VNI REMOTE LOCAL REMOTE LOCAL [SECONDS_AGO]
//     erase VNI REMOTE LOCAL      read VNI REMOTE LOCAL
//     room MOST_ENDPOINTS         silence
//     totals      notes      describe      ethernet ADDRESS...
//     cost INTERFACE REPEATS FRAME           one frame in hexadecimal, so many times through the program there
//   relay_fast_path pass|drop INTERFACE      keeps a program there that does only that, until it is killed
//   relay_fast_path live INTERFACE COUNT FRAME
//     sends so many of that frame by the interface, as a driver would
//   relay_fast_path flood LOCAL REMOTE VNI SIZE RATE SECONDS
//     sends UDP payloads of that size from a socket, RATE of them a second, in bursts of 16
#include "plugins/geneve-relay/fast_path/fast_path.hpp"
#include "plugins/geneve-relay/fast_path/interfaces.hpp"
#include "plugins/geneve-relay/wire/geneve_header.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cstddef>
#include <cstring>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace gatehouse::geneve_relay {
namespace {

using namespace std::chrono_literals;
using Words = std::istringstream;
using Frame = std::vector<unsigned char>;

constexpr std::uint32_t kLane = 0;

template <class Value>
Value next(Words& words) {
  Value out{};
  words >> out;
  return out;
}

Endpoint next_endpoint(Words& words) { return Endpoint::parse(next<std::string>(words)).value(); }

FastKey next_key(Words& words) {
  FastKey out{.vni = next<std::uint32_t>(words), .remote = {}, .local = {}};
  out.remote = next_endpoint(words);
  out.local = next_endpoint(words);
  return out;
}

Frame frame_of(std::string_view hex) {
  Frame out;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
    out.push_back(static_cast<unsigned char>(std::stoi(std::string(hex.substr(at, 2)), nullptr, 16)));
  return out;
}

std::string text_of(const FastUse& use) {
  const auto age = use.last_seen == SteadyTime{} ? Nanoseconds(-1) : steady_now() - use.last_seen;
  return std::to_string(use.packets) + " " + std::to_string(use.bytes) + " " + std::to_string(age.count());
}

std::string text_of(const Result<FastUse>& use) { return use ? text_of(*use) : use.error().message(); }
std::string text_of(const Result<void>& done) { return done ? "ok" : done.error().message(); }

std::string totals(const FastPath& path) {
  std::string out;
  const FastTotals all = path.totals();
  for (unsigned what = 0; what < GH_FAST_COUNTS; ++what)
    out += std::string(to_text(gh_fast_count(what))) + "=" + std::to_string(all.packets[what]) + " ";
  return out + "bytes=" + std::to_string(all.bytes);
}

std::string notes(const FastPath& path) {
  std::string out;
  for (const std::string& one : path.notes()) out += one + ";";
  return out;
}

std::string ethernet(Words& words) {
  std::vector<IpAddress> addresses;
  for (std::string word; words >> word;) addresses.push_back(IpAddress::parse(word).value());
  std::string out;
  for (const std::string& one : ethernet_interfaces(addresses)) out += one + " ";
  return out;
}

/// The program that is attached there.
UniqueFd program_on(const std::string& interface) {
  bpf_xdp_query_opts found{};
  found.sz = sizeof found;
  if (bpf_xdp_query(static_cast<int>(::if_nametoindex(interface.c_str())), 0, &found) != 0) return {};
  return UniqueFd(bpf_prog_get_fd_by_id(found.prog_id));
}

std::string cost(Words& words) {
  const UniqueFd program = program_on(next<std::string>(words));
  const int repeats = next<int>(words);
  const Frame frame = frame_of(next<std::string>(words));
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  run.data_in = frame.data();
  run.data_size_in = static_cast<unsigned>(frame.size());
  run.repeat = repeats;
  if (bpf_prog_test_run_opts(program.get(), &run) != 0) return last_system_error().message();
  return std::to_string(run.retval) + " " + std::to_string(run.duration);
}

std::string make_room(FastPath& path, std::size_t most_endpoints) {
  path.make_room(most_endpoints);
  return "ok";
}

std::string answer(FastPath& path, std::jthread& turns, const std::string& line) {
  Words words(line);
  const auto verb = next<std::string>(words);
  if (verb == "ports") {
    std::vector<std::uint16_t> ports;
    for (std::uint16_t port; words >> port;) ports.push_back(port);
    return text_of(path.set_ports(ports));
  }
  if (verb == "attach") {
    const std::map<std::string, AttachWish> wishes{
        {"automatic", AttachWish::automatic}, {"native", AttachWish::native}, {"generic", AttachWish::generic}};
    const auto interface = next<std::string>(words);
    return path.attach(interface, wishes.at(next<std::string>(words))).to_string();
  }
  if (verb == "detach") {
    path.detach(next<std::string>(words));
    return "ok";
  }
  if (verb == "put") {
    const FastKey key = next_key(words);
    const Endpoint remote = next_endpoint(words);
    const Endpoint local = next_endpoint(words);
    const SteadyTime when = steady_now() - std::chrono::seconds(next<int>(words));
    return text_of(path.legs()->put(key, {remote, local}, kLane, when));
  }
  if (verb == "silence") {
    turns = {};
    return "ok";
  }
  if (verb == "erase") return text_of(path.legs()->erase(next_key(words)));
  if (verb == "read") return text_of(path.legs()->read(next_key(words)));
  if (verb == "room") return make_room(path, next<std::size_t>(words));
  if (verb == "totals") return totals(path);
  if (verb == "notes") return notes(path);
  if (verb == "describe") return path.describe();
  if (verb == "ethernet") return ethernet(words);
  if (verb == "cost") return cost(words);
  return "what is " + line + "?";
}

void say(const std::string& line) { std::cout << line << std::endl; }

int serve(std::size_t most_endpoints) {
  FastPath path(most_endpoints);
  path.beat(kLane, steady_now());
  std::jthread turns([&path](std::stop_token is_over) {
    for (; !is_over.stop_requested(); std::this_thread::sleep_for(50ms)) path.beat(kLane, steady_now());
  });
  say("ready");
  for (std::string line; std::getline(std::cin, line);) say(answer(path, turns, line));
  return 0;
}

bpf_insn instruction(int code, int to, int from, int offset, std::int32_t value) {
  bpf_insn out{};
  out.code = static_cast<std::uint8_t>(code);
  out.dst_reg = static_cast<std::uint8_t>(to & 0xf);
  out.src_reg = static_cast<std::uint8_t>(from & 0xf);
  out.off = static_cast<std::int16_t>(offset);
  out.imm = value;
  return out;
}

UniqueFd load(const std::vector<bpf_insn>& program) {
  return UniqueFd(bpf_prog_load(BPF_PROG_TYPE_XDP, "test_pass", "GPL", program.data(), program.size(), nullptr));
}

/// A program that does with every frame what `action` says.
UniqueFd program_that(std::int32_t action) {
  return load({instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, action), instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)});
}

/// A program that sends frames which begin as that one, some 100 ns apart: buffers come again as the relay has left
/// them, and a veth's ring has room for 256 frames only.
UniqueFd program_that_sends(const Frame& frame) {
  constexpr int kWord = sizeof(std::int32_t), kHeaders = 72, kPause = 300;
  std::vector<bpf_insn> out{
      instruction(BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(xdp_md, data), 0),
      instruction(BPF_LDX | BPF_MEM | BPF_W, 3, 1, offsetof(xdp_md, data_end), 0),
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0),
      instruction(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, kHeaders),
      instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_DROP),
      instruction(BPF_JMP | BPF_JGT | BPF_X, 4, 3, kHeaders / kWord + 4, 0),
  };
  for (int at = 0; at < kHeaders; at += kWord) {
    std::int32_t word;
    std::memcpy(&word, frame.data() + at, sizeof word);
    out.push_back(instruction(BPF_ST | BPF_MEM | BPF_W, 2, 0, at, word));
  }
  out.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, kPause));
  out.push_back(instruction(BPF_ALU64 | BPF_SUB | BPF_K, 1, 0, 0, 1));
  out.push_back(instruction(BPF_JMP | BPF_JNE | BPF_K, 1, 0, -2, 0));
  out.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_TX));
  out.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return load(out);
}

int keep(std::int32_t action, const char* interface) {
  const UniqueFd loaded = program_that(action);
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = XDP_FLAGS_DRV_MODE;
  const UniqueFd link(bpf_link_create(loaded.get(), static_cast<int>(::if_nametoindex(interface)), BPF_XDP, &options));
  if (!link) return 1;
  say("ready");
  for (;;) ::pause();
}

int send_live(const char* interface, int count, const Frame& frame) {
  const UniqueFd loaded = program_that_sends(frame);
  xdp_md context{};
  context.data_end = static_cast<unsigned>(frame.size());
  context.ingress_ifindex = ::if_nametoindex(interface);
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  run.data_in = frame.data();
  run.data_size_in = static_cast<unsigned>(frame.size());
  run.ctx_in = &context;
  run.ctx_size_in = sizeof context;
  run.repeat = count;
  run.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  if (bpf_prog_test_run_opts(loaded.get(), &run) == 0) return 0;
  say("refused: " + last_system_error().message());
  return 1;
}

UniqueFd connected(const Endpoint& local, const Endpoint& remote) {
  UniqueFd out(::socket(local.address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage here{}, there{};
  const socklen_t here_size = local.to_sockaddr(here), there_size = remote.to_sockaddr(there);
  if (::bind(out.get(), reinterpret_cast<sockaddr*>(&here), here_size) != 0 ||
      ::connect(out.get(), reinterpret_cast<sockaddr*>(&there), there_size) != 0)
    throw std::runtime_error(last_system_error().message());
  return out;
}

int flood(const std::vector<std::string>& words) {
  constexpr std::size_t kBurst = 16;
  const UniqueFd socket = connected(Endpoint::parse(words[1]).value(), Endpoint::parse(words[2]).value());
  std::vector<std::byte> payload(std::stoul(words[4]));
  write_geneve_header(payload,
                      {.protocol = kProtocolWireguard, .vni = static_cast<std::uint32_t>(std::stoul(words[3]))});
  iovec piece{payload.data(), payload.size()};
  std::array<mmsghdr, kBurst> burst{};
  for (mmsghdr& one : burst) one.msg_hdr.msg_iov = &piece, one.msg_hdr.msg_iovlen = 1;
  const Nanoseconds pause(1'000'000'000 / std::stoll(words[5]) * static_cast<long long>(kBurst));
  const SteadyTime end = steady_now() + std::chrono::seconds(std::stoi(words[6]));
  for (SteadyTime turn = steady_now(); turn < end; turn += pause) {
    std::this_thread::sleep_until(turn);
    ::sendmmsg(socket.get(), burst.data(), kBurst, 0);
  }
  return 0;
}

int work(const std::vector<std::string>& words) {
  if (words.size() == 4 && words[0] == "live")
    return send_live(words[1].c_str(), std::stoi(words[2]), frame_of(words[3]));
  if (words.size() == 7 && words[0] == "flood") return flood(words);
  if (words.size() == 2) return keep(words[0] == "drop" ? XDP_DROP : XDP_PASS, words[1].c_str());
  return serve(std::stoul(words.at(0)));
}

}  // namespace
}  // namespace gatehouse::geneve_relay

int main(int count, char** arguments) try {
  return gatehouse::geneve_relay::work({arguments + 1, arguments + count});
} catch (const std::runtime_error& error) {
  std::cout << "refused: " << error.what() << std::endl;
  return 1;
}
