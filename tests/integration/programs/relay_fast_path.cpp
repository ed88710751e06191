// Works the relay's way in the kernel for test_geneve_relay_fast_path.py: commands on the standard input, a line each,
// and a line of answer to each.
//
//   relay_fast_path MOST_ENDPOINTS
//     ports PORT...                          attach INTERFACE automatic|native|generic        detach INTERFACE
//     put VNI REMOTE LOCAL REMOTE LOCAL [SECONDS_AGO]
//     erase VNI REMOTE LOCAL      read VNI REMOTE LOCAL
//     all      totals      notes      describe      ethernet ADDRESS...
//     cost REPEATS FRAME                     one frame in hexadecimal, so many times through the native program
//   relay_fast_path pass INTERFACE           keeps a program there that does nothing, until it is killed
#include "plugins/geneve-relay/fast_path/fast_path.hpp"
#include "plugins/geneve-relay/fast_path/interfaces.hpp"

#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <iostream>
#include <map>
#include <sstream>

namespace gatehouse::geneve_relay {
namespace {

using Words = std::istringstream;

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

std::string text_of(const FastUse& use) {
  const auto age = use.last_seen == SteadyTime{} ? Nanoseconds(-1) : steady_now() - use.last_seen;
  return std::to_string(use.packets) + " " + std::to_string(use.bytes) + " " + std::to_string(age.count());
}

std::string text_of(const Result<FastUse>& use) { return use ? text_of(*use) : use.error().message(); }
std::string text_of(const Result<void>& done) { return done ? "ok" : done.error().message(); }

std::string all(const FastPath& path) {
  std::string out;
  path.for_each([&](const FastKey& key, const FastUse& use) {
    out +=
        std::to_string(key.vni) + " " + key.remote.to_string() + " " + key.local.to_string() + " " + text_of(use) + ";";
  });
  return out;
}

std::string totals(const FastPath& path) {
  std::string out;
  const FastTotals all = path.totals();
  for (unsigned what = 0; what < GH_FAST_COUNTS; ++what)
    out += std::string(to_text(gh_fast_count(what))) + "=" + std::to_string(all.packets[what]) + " ";
  return out;
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

std::string cost(const FastPath& path, Words& words) {
  const int repeats = next<int>(words);
  const auto text = next<std::string>(words);
  std::vector<unsigned char> frame;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2)
    frame.push_back(static_cast<unsigned char>(std::stoi(text.substr(at, 2), nullptr, 16)));
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  run.data_in = frame.data();
  run.data_size_in = static_cast<unsigned>(frame.size());
  run.repeat = repeats;
  if (bpf_prog_test_run_opts(path.native_program(), &run) != 0) return last_system_error().message();
  return std::to_string(run.retval) + " " + std::to_string(run.duration);
}

std::string answer(FastPath& path, const std::string& line) {
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
    return text_of(path.put(key, {remote, local}, steady_now() - std::chrono::seconds(next<int>(words))));
  }
  if (verb == "erase") return text_of(path.erase(next_key(words)));
  if (verb == "read") return text_of(path.read(next_key(words)));
  if (verb == "all") return all(path);
  if (verb == "totals") return totals(path);
  if (verb == "notes") return notes(path);
  if (verb == "describe") return path.describe();
  if (verb == "ethernet") return ethernet(words);
  if (verb == "cost") return cost(path, words);
  return "what is " + line + "?";
}

void say(const std::string& line) { std::cout << line << std::endl; }

int serve(std::size_t most_endpoints) {
  FastPath path(most_endpoints);
  say("ready");
  for (std::string line; std::getline(std::cin, line);) say(answer(path, line));
  return 0;
}

int keep_passing(const char* interface) {
  const bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  const UniqueFd loaded(bpf_prog_load(BPF_PROG_TYPE_XDP, "test_pass", "GPL", program, std::size(program), nullptr));
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = XDP_FLAGS_DRV_MODE;
  const UniqueFd link(bpf_link_create(loaded.get(), static_cast<int>(::if_nametoindex(interface)), BPF_XDP, &options));
  if (!link) return 1;
  say("ready");
  for (;;) ::pause();
}

}  // namespace
}  // namespace gatehouse::geneve_relay

int main(int count, char** arguments) try {
  if (count == 3) return gatehouse::geneve_relay::keep_passing(arguments[2]);
  return gatehouse::geneve_relay::serve(std::stoul(arguments[1]));
} catch (const gatehouse::geneve_relay::FastPathError& error) {
  std::cout << "refused: " << error.what() << std::endl;
  return 1;
}
