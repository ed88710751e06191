// Random rows, surroundings and flows from a small world, so that they meet often.
#pragma once

#include "policy/compile.hpp"
#include "tests/unit/policy/naive.hpp"

#include <random>
#include <string>
#include <vector>

namespace gatehouse::policy {

class RandomPolicy {
 public:
  explicit RandomPolicy(std::uint64_t seed) : random_(seed) {}

  Model model() {
    Model m;
    m.groups = {{0, "everyone", 1000, true}};
    for (int i = 1; i <= 4; ++i) m.groups.push_back({i, "g" + std::to_string(i), below(3), below(5) != 0});
    for (int i = 1; i <= 8; ++i)
      m.group_members.push_back(pick<GroupMember>({{i, 1 + below(4), "identity", pick(kIdentities), life()},
                                                   {i, 1 + below(4), "identity", "token:*", life()},
                                                   {i, 1 + below(4), "source", pick(kSources), life()},
                                                   {i, 1 + below(4), "listener", "127.0.0.1:7300", life()},
                                                   {i, 1 + below(4), "plugin", "udp*", life()}}));
    for (int i = below(8); i > 0; --i)
      m.domain_rules.push_back({i, group(), pick(kDomains), pick<const char*>({"suffix", "exact"}),
                                pick<const char*>({"block", "allow", "monitor"}), life()});
    for (int i = below(4); i > 0; --i)
      m.domain_lists.push_back({i, "list" + std::to_string(i), group(), pick<const char*>({"suffix", "exact"}),
                                pick<const char*>({"block", "block", "allow", "monitor"}),
                                "file" + std::to_string(below(3)), life()});
    for (int i = below(12); i > 0; --i) {
      PortPermit p{i, group(), pick<const char*>({"tcp", "udp", "icmp", "any"}), {}, {}, "allow", below(4), life()};
      if (p.transport != "icmp" && below(2)) p.ports = pick(kPorts);
      if (below(2)) p.destination = pick(kPrefixes);
      p.action = pick<const char*>({"allow", "allow", "deny", "monitor"});
      m.port_permits.push_back(p);
    }
    if (below(4)) m.settings.push_back({7, "default_action", pick<const char*>({"allow", "deny"})});
    return m;
  }

  /// The files that model() names.
  naive::ListTexts list_texts() {
    naive::ListTexts out;
    for (int file = 0; file < 3; ++file) {
      naive::ListText& text = out["file" + std::to_string(file)];
      for (int i = below(6); i > 0; --i) text.listed.push_back(pick(kDomains));
      if (below(2) == 0)
        for (std::vector<std::string>* const more : {&text.exact, &text.children})
          for (int i = below(4); i > 0; --i) more->push_back(pick(kDomains));
      for (int i = below(3) == 0 ? 1 + below(2) : 0; i > 0; --i) text.exceptions.push_back(pick(kDomains));
      text.nearest_wins = below(2) == 0;
      if (text.nearest_wins || below(2) == 0) continue;
      for (int i = below(3); i > 0; --i) text.important.push_back(pick(kDomains));
      if (below(4) == 0) text.important_exceptions.push_back(pick(kDomains));
    }
    return out;
  }

  static Lists lists(const naive::ListTexts& texts) {
    Lists out{{0x1234, 0x5678}, {}};
    for (const auto& [file, text] : texts) {
      HashedNames names;
      for (const std::string& name : text.listed) names.add(name, ListEntry::listed, out.seed);
      for (const std::string& name : text.exact) names.add(name, ListEntry::exact, out.seed);
      for (const std::string& name : text.children) names.add(name, ListEntry::children, out.seed);
      for (const std::string& name : text.exceptions) names.add(name, ListEntry::exception, out.seed);
      constexpr ListEntry kImportant{ListMark::important, ListMark::important};
      constexpr ListEntry kImportantException{ListMark::important_exception, ListMark::important_exception};
      for (const std::string& name : text.important) names.add(name, kImportant, out.seed);
      for (const std::string& name : text.important_exceptions) names.add(name, kImportantException, out.seed);
      names.nearest_wins = text.nearest_wins;
      out.by_file[file].names = NameSet::build(std::move(names));
    }
    return out;
  }

  Surroundings surroundings() {
    Surroundings s;
    for (const char* own : {"192.168.1.5", "8.8.4.0/25", "2002:808:808::1", "2a00::5", "2a00:1::/64"})
      s.own.push_back(Prefix::parse(own).value());
    s.broadcast = {Prefix::parse("192.168.1.255").value()};
    s.nat64 = {Prefix::parse("2001:db8:64::/96").value(), Prefix::parse("2a00:64::/32").value(),
               Prefix::parse("64:ff9b:1:1::/64").value()};
    s.listeners = {{{address("127.0.0.1"), 7300, 0}, kTcp}, {{address("0.0.0.0"), 53, 0}, kUdp}};
    s.claims = {{Prefix::parse("10.8.0.0/16").value(), "tunnel"},
                {Prefix::parse("10.8.1.0/24").value(), "udpgw"},
                {Prefix::parse("10.1.0.0/16").value(), "echo"},
                {Prefix::parse("fd42::/64").value(), "udpgw"}};
    return s;
  }

  ClientFacts client() {
    return {pick<const char*>({"udpgw", "echo"}), pick<const char*>({"127.0.0.1:7300", "x"}),
            pick<const char*>({"", "token:bob", "unix:bob", "token:eve"}),
            below(4) ? address(pick<const char*>({"192.0.2.7", "10.1.1.1", "2a00::9", "2001:db8:64::192.0.2.7"}))
                     : IpAddress()};
  }

  Flow flow() {
    Flow f;
    f.destination = address(pick(kAddresses));
    f.port = static_cast<std::uint16_t>(pick<int>({25, 53, 80, 443, 1000, 7300, 0}));
    f.transport = static_cast<std::uint32_t>(pick<int>({6, 17, 17, 1, 58, 50}));
    f.flags = static_cast<std::uint32_t>(pick<int>({0, 0, 0, 0, 1, 2, 8, 9}));
    if (below(2)) {
      f.domain = pick(kNames);
      f.flags |= kFlowNamed;
    }
    return f;
  }

  int below(int n) { return std::uniform_int_distribution<int>(0, n - 1)(random_); }
  static IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

  static inline const std::vector<const char*> kAddresses = {"8.8.8.8",
                                                             "8.8.4.4",
                                                             "1.1.1.1",
                                                             "10.1.2.3",
                                                             "10.8.0.1",
                                                             "192.168.1.5",
                                                             "192.168.1.9",
                                                             "192.168.1.255",
                                                             "127.0.0.1",
                                                             "127.9.9.9",
                                                             "0.0.0.0",
                                                             "0.1.2.3",
                                                             "169.254.1.1",
                                                             "169.254.169.254",
                                                             "169.254.170.2",
                                                             "168.63.129.16",
                                                             "100.100.100.200",
                                                             "100.64.0.1",
                                                             "224.0.0.1",
                                                             "240.0.0.1",
                                                             "255.255.255.255",
                                                             "192.0.2.1",
                                                             "198.51.100.4",
                                                             "203.0.113.9",
                                                             "198.18.0.1",
                                                             "172.16.5.5",
                                                             "192.88.99.1",
                                                             "::",
                                                             "::1",
                                                             "::2",
                                                             "::ffff:8.8.8.8",
                                                             "::ffff:127.0.0.1",
                                                             "::8.8.8.8",
                                                             "64:ff9b::8.8.8.8",
                                                             "64:ff9b::10.1.2.3",
                                                             "64:ff9b:1::1",
                                                             "64:ff9b:1:1:8:808:800:0",
                                                             "64:ff9b:1:1:a:102:300:0",
                                                             "2001:db8:64::8.8.4.4",
                                                             "2001:db8:64::8.8.4.200",
                                                             "2001:db8:64::169.254.169.254",
                                                             "2a00:64:0a01:0203::",
                                                             "2a00:64:0808:0808::",
                                                             "2a00:1::77",
                                                             "2002:808:808::1",
                                                             "2002:a01:203::1",
                                                             "2001:0:1::1",
                                                             "2001:db8::1",
                                                             "2001:4860::8888",
                                                             "2a00::5",
                                                             "2a00::6",
                                                             "fd42::1",
                                                             "fd43::1",
                                                             "fd00:ec2::254",
                                                             "fe80::1",
                                                             "ff02::1",
                                                             "3fff::1",
                                                             "5f00::1",
                                                             "200::1",
                                                             "100::1",
                                                             "fec0::1"};

 private:
  template <class T>
  T pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(below(static_cast<int>(from.size())))];
  }
  std::optional<std::int64_t> group() { return below(2) ? std::nullopt : std::optional<std::int64_t>(below(5)); }
  Life life() { return {below(8) != 0, below(8) ? std::nullopt : std::optional<std::int64_t>(500 + below(2) * 1000)}; }

  static inline const std::vector<const char*> kIdentities = {"token:bob", "unix:bob"};
  static inline const std::vector<const char*> kSources = {"192.0.2.0/24", "10.0.0.0/8", "2a00::/16"};
  static inline const std::vector<const char*> kDomains = {"example", "ads.example", "a.ads.example", "x.test"};
  static inline const std::vector<const char*> kNames = {"example",         "ads.example",  "a.ads.example",
                                                         "b.a.ads.example", "bads.example", "x.test",
                                                         "y.x.test",        "test",         "a..test"};
  static inline const std::vector<const char*> kPorts = {"25", "53,443", "all", "1-1024", "443,80,1000-2000"};
  static inline const std::vector<const char*> kPrefixes = {
      "10.0.0.0/8",  "10.1.0.0/16",    "0.0.0.0/0",     "::/0",           "8.8.8.0/24",
      "192.168.1.9", "192.0.0.0/8",    "198.18.0.0/15", "2001:db8::/32",  "fc00::/7",
      "fd43::/16",   "2001:4860::/32", "127.0.0.0/8",   "192.168.0.0/16", "8.0.0.0/6"};
  std::mt19937_64 random_;
};

}  // namespace gatehouse::policy
