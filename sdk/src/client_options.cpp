#include <gatehouse/net/client_options.hpp>

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <stdexcept>

namespace gatehouse {
namespace {

constexpr std::size_t kLongestToken = 4096;

[[noreturn]] void wrong(const std::string& what) { throw std::invalid_argument(what); }

UniqueFd open_secret(const std::filesystem::path& file) {
  UniqueFd out(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about {};
  if (!out || ::fstat(out.get(), &about) != 0)
    throw std::runtime_error(file.string() + " cannot be read: " + last_system_error().message());
  if (S_ISDIR(about.st_mode)) throw std::runtime_error(file.string() + " is a folder; name the file");
  const mode_t others = about.st_uid == ::geteuid() ? 077 : 007;
  if (S_ISREG(about.st_mode) && (about.st_mode & others) != 0)
    throw std::runtime_error("others can use " + file.string() + ", which holds a secret; `chmod 600` it");
  return out;
}

}  // namespace

ClientAddress ClientAddress::parse(std::string_view address) {
  constexpr std::string_view kUnix = "unix:";
  ClientAddress out;
  if (address.starts_with(kUnix)) {
    out.path = address.substr(kUnix.size());
    if (out.path.empty()) wrong("`unix:` needs a path behind it");
    if (out.path.native().size() >= sizeof sockaddr_un::sun_path) wrong("the path of the socket is too long");
    return out;
  }
  const std::size_t colon = address.rfind(':');
  std::string_view host = address.substr(0, colon);
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (colon == address.npos || colon + 1 == address.size()) wrong("`" + std::string(address) + "` has no port");
  if (!is_bracketed && host.find(':') != host.npos)
    wrong("`" + std::string(address) + "` has no port: an IPv6 address with one is written [2001:db8::1]:7300");
  if (host.empty()) wrong("`" + std::string(address) + "` has no host");
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  out.host = host;
  out.port = address.substr(colon + 1);
  return out;
}

bool take_client_word(ClientOptions& out, std::span<const std::string_view> words, std::size_t& at) {
  const std::string_view word = words[at];
  const auto is_flag = [&](std::string_view name, bool& flag) {
    if (word != name) return false;
    ++at;
    return flag = true;
  };
  if (is_flag("--tls", out.tls) || is_flag("--http", out.http) || is_flag("--websocket", out.web_socket)) return true;
  const auto has_value = [&](std::string_view name, auto& value) {
    if (word != name) return false;
    if (at + 1 >= words.size() || words[at + 1].empty()) wrong(std::string(word) + " needs a value");
    value = words[at + 1];
    at += 2;
    return true;
  };
  return has_value("--ca", out.ca) || has_value("--cert", out.cert) || has_value("--key", out.key) ||
         has_value("--server-name", out.server_name) || has_value("--min-tls", out.least_tls) ||
         has_value("--path", out.path) || has_value("--token-file", out.token_file);
}

void read_probe_words(ClientOptions& out, std::span<const std::string_view> words,
                      const std::function<bool(std::string_view word, std::string_view value)>& take_own) {
  for (std::size_t at = 0; at < words.size();) {
    const std::string_view word = words[at];
    if (!word.starts_with("--")) {
      if (!out.address.empty()) wrong("`" + std::string(word) + "` is one word too many");
      out.address = word;
      ++at;
    } else if (!take_client_word(out, words, at)) {
      if (at + 1 == words.size()) wrong(std::string(word) + " needs a value");
      if (!take_own(word, words[at + 1])) wrong("`" + std::string(word) + "` is no option of this probe");
      at += 2;
    }
  }
}

unsigned read_number(std::string_view word, std::string_view value, unsigned least, unsigned most) {
  unsigned out = 0;
  const char* const end = value.data() + value.size();
  const auto [stopped, error] = std::from_chars(value.data(), end, out);
  if (error != std::errc{} || stopped != end || out < least || out > most)
    wrong(std::string(word) + " takes a number from " + std::to_string(least) + " to " + std::to_string(most));
  return out;
}

void check_client_options(const ClientOptions& options) {
  const ClientAddress address = ClientAddress::parse(options.address);
  const auto needs = [](bool is_there, const char* word, const char* needed, bool has_it) {
    if (is_there && !has_it) wrong(std::string(word) + " needs " + needed);
  };
  needs(!options.ca.empty(), "--ca", "--tls", options.tls);
  needs(!options.cert.empty(), "--cert", "--tls", options.tls);
  needs(!options.cert.empty(), "--cert", "the certificate's --key", !options.key.empty());
  needs(!options.key.empty(), "--key", "the --cert that it belongs to", !options.cert.empty());
  needs(options.least_tls != "1.3", "--min-tls", "--tls", options.tls);
  needs(!options.server_name.empty(), "--server-name", "--tls, --http or --websocket",
        options.tls || options.has_opening());
  needs(!options.path.empty(), "--path", "--http or --websocket", options.has_opening());
  if (!options.path.empty() && (options.path[0] != '/' || options.path.size() == 1 || options.path.rfind('/') != 0))
    wrong("--path takes / and the name that the plugin has in the server's configuration, such as /udpgw");
  needs(!options.token_file.empty(), "--token-file", "--http or --websocket, which have a place for the token",
        options.has_opening());
  needs(options.tls && !address.path.empty(), "--tls over a Unix socket",
        "--server-name, whom the server's certificate must be for", !options.server_name.empty());
  if (options.least_tls != "1.3" && options.least_tls != "1.2") wrong("--min-tls takes 1.2 or 1.3");
  if (options.http && options.web_socket) wrong("give either --http or --websocket, which is over HTTP, too");
}

std::string read_token_file(const std::filesystem::path& file) {
  const UniqueFd opened = open_secret(file);
  std::string out;
  char part[1024];
  ssize_t size = 0;
  while (out.size() <= kLongestToken && out.find('\n') == out.npos &&
         (size = ::read(opened.get(), part, sizeof part)) > 0)
    out.append(part, static_cast<std::size_t>(size));
  if (size < 0) throw std::runtime_error(file.string() + " cannot be read: " + last_system_error().message());
  out.resize(std::min(out.find('\n'), out.size()));
  out.resize(out.find_last_not_of(" \t\r") + 1);
  if (out.empty())
    throw std::runtime_error("the first line of " + file.string() + " is empty; a token is what `token new` printed");
  if (out.size() > kLongestToken) throw std::runtime_error("the first line of " + file.string() + " is too long");
  return out;
}

void require_secret_file(const std::filesystem::path& file) { static_cast<void>(open_secret(file)); }

}  // namespace gatehouse
