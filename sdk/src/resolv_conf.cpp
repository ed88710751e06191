#include <gatehouse/net/resolv_conf.hpp>

#include <gatehouse/base/settled_stamp.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace gatehouse {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::size_t kLongestFile = 64 * 1024;
constexpr std::string_view kSpace = " \t\r";

/// Takes the first word off `line`.
std::string_view take_word(std::string_view& line) noexcept {
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

/// "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "fe80::1%2".
std::optional<Endpoint> parse_address(std::string_view text) {
  const auto percent = text.find('%');
  const auto address = IpAddress::parse(text.substr(0, percent));
  if (!address) return {};
  Endpoint out{address->unmapped(), kDnsPort, 0};
  if (percent == text.npos) return out;
  const std::string zone(text.substr(percent + 1));
  if (!out.address.is_v6() || zone.empty()) return {};
  out.scope = if_nametoindex(zone.c_str());
  if (out.scope != 0) return out;
  const auto numbered = Endpoint::parse(text, kDnsPort);
  return numbered && numbered->scope != 0 ? std::optional(*numbered) : std::nullopt;
}

/// The file's first kLongestFile bytes, or nothing.
std::optional<std::string> read_file(const UniqueFd& file) {
  std::string text(kLongestFile, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0) return {};
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace

std::vector<Endpoint> parse_resolv_conf(std::string_view text) {
  std::vector<Endpoint> out;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (take_word(line) != "nameserver") continue;
    if (const auto server = parse_address(take_word(line))) out.push_back(*server);
  }
  if (out.empty()) out.push_back({IpAddress::v4(0x7f000001), kDnsPort, 0});
  return out;
}

const std::vector<Endpoint>& ResolvConf::nameservers(SteadyTime now) {
  if (now >= next_look_ || nameservers_.empty()) {
    next_look_ = now + std::chrono::seconds(1);
    refresh();
    if (nameservers_.empty()) nameservers_ = parse_resolv_conf("");
  }
  return nameservers_;
}

void ResolvConf::refresh() {
  struct stat before {};
  if (::stat(path_.c_str(), &before) != 0 || !S_ISREG(before.st_mode)) return;
  if (FileStamp::of(before) == stamp_) return;

  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  const FileStamp opened = FileStamp::of(file);
  const bool settled = is_settled(opened);
  if (!opened.exists()) return;
  const auto text = read_file(file);
  if (!text) return;
  stamp_ = settled ? opened : FileStamp{};  // taken before reading: a later change shows as another stamp
  auto servers = parse_resolv_conf(*text);
  if (servers != nameservers_) {
    nameservers_ = std::move(servers);
    ++version_;
  }
}

}  // namespace gatehouse
