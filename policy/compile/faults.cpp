#include "policy/compile/faults.hpp"

namespace gatehouse::policy {
namespace {

constexpr std::size_t kLongestWord = 253;       // bytes: a domain name is quoted whole
constexpr std::size_t kLongestSentence = 1024;  // of somebody else

/// The beginning of a text, up to a whole character of UTF-8.
std::string cut(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
  return std::string(text.substr(0, most)) + "...";
}

}  // namespace

std::string_view sentence_of(Fault fault) noexcept {
  switch (fault) {
    case Fault::no_group: return "there is no group with id {}";
    case Fault::member_kind: return "`{}` is no kind: write identity, source, listener or plugin";
    case Fault::member_without_kind:
      return "`{}` is only who came through a listener that is configured with that identity; others have a kind: "
             "token:{}, cert:{}, unix:{} or relay:{}";
    case Fault::cidr_unreadable:
      return "`{}` is not an address or a CIDR: write it as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32";
    case Fault::cidr_host_bits: return "`{}` has bits set beyond its length: write {}";
    case Fault::cidr_wrapped:
      return "`{}` is an IPv6 form of IPv4 addresses, which are judged as IPv4: write the IPv4 CIDR";
    case Fault::credential_kind: return "`{}` is no kind: write token, cert, unix or relay_key";
    case Fault::token_value:
      return "the value is not the SHA-256 of a token, 64 lower-case hex digits: `gatehouse token new` makes such a "
             "row";
    case Fault::relay_key_value: return "`{}` is not a relay key: write it in hex, or * for any key";
    case Fault::any_certificate: return "* stands for any relay key only: write the name of one certificate";
    case Fault::any_user: return "* stands for any relay key only: write the name of one user";
    case Fault::no_value: return "value is empty: write the name of a certificate or of a user";
    case Fault::identity_untyped:
      return "`{}` is no identity: write token:bob, cert:bob.example, unix:bob or relay:site";
    case Fault::identity_too_long: return "the identity is longer than {} bytes: choose a shorter one";
    case Fault::no_plugin: return "plugin is empty: write a plugin's name, or NULL for every plugin";
    case Fault::credential_given_twice: return "row {} gives the same credential to `{}`: delete one of them";
    case Fault::domain_wildcard: return "`{}`: write `{}`, and match = suffix covers it and all names below it";
    case Fault::domain_letters: return "`{}` has letters that no domain name may have: write it as ads.example";
    case Fault::domain_too_long: return "`{}` is too long for a domain name: 253 characters, 63 a label";
    case Fault::domain_unreadable: return "`{}` is not a domain name: write it as ads.example";
    case Fault::domain_address:
      return "`{}` is an address, not a name: write a row of port_permits with it as the destination";
    case Fault::domain_pattern:
      return "`{}` has a wildcard inside, and names are matched whole: write ads.example, and match = suffix covers it "
             "and all names below it";
    case Fault::domain_character: return "`{}` has `{}` in it, which no host name has: write it as ads.example";
    case Fault::domain_match: return "`{}` is no match: write suffix or exact";
    case Fault::domain_action: return "`{}` is no action: write block, allow or monitor";
    case Fault::list_empty: return "the list has no names yet: `gatehouse policy import {} FILE` fills it";
    case Fault::list_gone: return "the file `{}` is not in lists/: import the list again";
    case Fault::list_unreadable: return "{}";  // the sentence of whoever read the file
    case Fault::permit_action: return "`{}` is no action: write allow, deny or monitor";
    case Fault::permit_transport: return "`{}` is no transport: write tcp, udp, icmp or any";
    case Fault::permit_ports:
      return "`{}` is no list of ports: write numbers from 1 to 65535, as in 53,443,3478-3481, or all";
    case Fault::permit_icmp_ports: return "icmp has no ports, so that `{}` can never match: write all";
    case Fault::too_many_monitors:
      return "so many monitor rows speak for the same ports and addresses that this one, and others behind it, are not "
             "counted everywhere: write fewer, or let them cover less";
    case Fault::admission_action: return "`{}` is no action: write allow or deny";
    case Fault::traffic_scope: return "`{}` is no scope: write session or identity";
    case Fault::traffic_negative: return "{} is negative: write 0 for no limit";
    case Fault::traffic_period: return "`{}` is no quota_period: write day or month";
    case Fault::traffic_too_large:
      return "{} can be {} at most, which holds in its place: write that, less, or 0 for no limit; the row's other "
             "columns are in force";
    case Fault::setting_name: return "`{}` is no setting: there are default_action, dns_ports and judge_answers";
    case Fault::default_action_value: return "`{}` is no default_action: write deny or allow";
    case Fault::dns_ports_value:
      return "`{}` is no list of ports: write numbers and ranges with commas, such as 53,5353; until then it is 53";
    case Fault::judge_answers_value: return "`{}` is no judge_answers: write 1 or 0; until then it is 1";
  }
  return {};
}

std::string sentence_of(Fault fault, std::initializer_list<std::string_view> words) {
  const std::size_t most = fault == Fault::list_unreadable ? kLongestSentence : kLongestWord;
  std::string_view rest = sentence_of(fault);
  std::string out;
  for (const std::string_view word : words) {
    const std::size_t place = rest.find("{}");
    if (place == rest.npos) break;
    out.append(rest.substr(0, place)).append(cut(word, most));
    rest.remove_prefix(place + 2);
  }
  return out.append(rest);
}

}  // namespace gatehouse::policy
