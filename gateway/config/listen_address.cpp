#include "gateway/config/listen_address.hpp"

#include "gateway/config/listen_facts.hpp"
#include "gateway/config/table_reader.hpp"

#include <sys/un.h>

#include <algorithm>
#include <charconv>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestSocketPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kLongestIdentity = 128;

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

bool is_identity(const std::string& text) {
  return !text.empty() && text.size() <= kLongestIdentity &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c != 0x7f; });
}

std::string read_members(const ConfigValue& table, const std::string& path, ListenAddress& out, SaidFacts& said,
                         std::vector<ConfigProblem>& problems) {
  TableReader reader(&table, path, problems);
  const ConfigValue* address = reader.take("address");
  read_listen_facts(reader, out, said, problems);
  const ConfigValue* identity = reader.take("identity");
  const ConfigValue* mode = reader.take("mode");
  reader.read("group", out.group);
  reader.refuse_unknown_keys();

  if (address == nullptr || address->kind != ConfigValue::Kind::string) {
    return "`" + path + "` needs an address, such as { address = \"127.0.0.1:7300\" }";
  }
  if (std::string wrong = parse_listen_address(address->text, out); !wrong.empty()) return wrong;
  if (identity != nullptr) {
    if (identity->kind != ConfigValue::Kind::string || !is_identity(identity->text)) {
      reader.refuse(*identity, "identity", "a name without spaces, such as \"token:bob\"");
    } else {
      out.identity = identity->text;
    }
  }
  if (mode != nullptr) out.mode = read_mode(*mode, path + ".mode", problems).value_or(out.mode);
  if (out.kind != ListenAddress::Kind::unix_stream && (mode != nullptr || !out.group.empty())) {
    return "`" + path + "` has a mode or a group, which only a unix: listener can have";
  }
  return "";
}

}  // namespace

std::string parse_listen_address(const std::string& text, ListenAddress& out) {
  out.text = text;
  std::string_view rest = text;
  if (take_prefix(rest, "unix:")) {
    out.kind = ListenAddress::Kind::unix_stream;
    out.path = std::string(rest);
    if (!out.path.is_absolute()) return "`" + text + "` needs an absolute path, such as unix:/run/gatehouse/x.sock";
    if (rest.size() > kLongestSocketPath) {
      return "`" + text + "` has a path of more than " + std::to_string(kLongestSocketPath) +
             " bytes, which no Unix socket can have";
    }
    return "";
  }
  out.kind = take_prefix(rest, "udp:") ? ListenAddress::Kind::udp : ListenAddress::Kind::tcp;
  if (out.kind == ListenAddress::Kind::tcp && take_prefix(rest, "tls:")) out.tls.emplace();
  const Result<Endpoint> endpoint = Endpoint::parse(rest);
  if (!endpoint) {
    return "`" + text +
           "` is no listener address; write 127.0.0.1:7300, [::1]:7300, tls:0.0.0.0:7301, udp:0.0.0.0:7500 or "
           "unix:/path";
  }
  out.endpoint = *endpoint;
  return "";
}

std::optional<ListenAddress> read_listen_address(const ConfigValue& value, const std::string& path,
                                                 const TlsConfig& tls, std::vector<ConfigProblem>& problems) {
  ListenAddress out;
  SaidFacts said;
  said.tls = tls;
  out.place = value.place;
  const std::size_t before = problems.size();
  std::string wrong;
  if (value.kind == ConfigValue::Kind::string) {
    wrong = parse_listen_address(value.text, out);
  } else if (value.kind == ConfigValue::Kind::table) {
    wrong = read_members(value, path, out, said, problems);
  } else {
    wrong = "`" + path + "` must hold addresses or tables, not " + value.describe();
  }
  if (out.tls) out.tls = std::move(said.tls);
  if (wrong.empty() && problems.size() == before) wrong = why_not_meant(out, said);
  if (!wrong.empty()) problems.push_back({value.place, wrong});
  if (problems.size() != before) return {};
  return out;
}

std::optional<std::uint32_t> read_mode(const ConfigValue& value, const std::string& path,
                                       std::vector<ConfigProblem>& problems) {
  std::uint32_t mode = 0;
  bool good = false;
  if (value.kind == ConfigValue::Kind::string) {
    const char* end = value.text.data() + value.text.size();
    const auto read = std::from_chars(value.text.data(), end, mode, 8);
    good = read.ec == std::errc{} && read.ptr == end;
  } else if (value.kind == ConfigValue::Kind::integer) {
    good = value.integer >= 0 && value.integer <= 0777;
    if (good) mode = static_cast<std::uint32_t>(value.integer);
  }
  if (good && mode <= 0777) return mode;
  problems.push_back({value.place, "`" + path + "` must be permissions such as \"0660\", not " + value.describe()});
  return {};
}

}  // namespace gatehouse
