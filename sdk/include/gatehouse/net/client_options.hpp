// How a client reaches a gateway's stream listener: where it is, and what comes before the stream's first byte. As
// values, and as words of a command line. Pure functions but for reads of files; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gatehouse {

/// Secrets come out of files, never from a command line, which every user of the machine can read.
struct ClientOptions {
  std::string address;               ///< "HOST:PORT", "[V6]:PORT" or "unix:PATH"
  bool tls = false;                  ///< --tls
  std::filesystem::path ca;          ///< --ca: PEM, whom to trust for the server; "" = whom this system trusts
  std::filesystem::path cert;        ///< --cert: PEM, what the client shows, the leaf first; "" = nothing
  std::filesystem::path key;         ///< --key: PEM, the leaf's; both or neither
  std::string server_name;           ///< --server-name: whom the certificate must be for; "" = HOST
  std::string least_tls = "1.3";     ///< --min-tls: "1.3" or "1.2"
  bool http = false;                 ///< --http: the opening of net/http_opening.hpp, then bare bytes
  bool web_socket = false;           ///< --websocket: the same, then WebSocket messages
  std::string path;                  ///< --path: /NAME, the instance's; "" = the plugin's own name
  std::filesystem::path token_file;  ///< --token-file: its first line is shown in the opening
  std::vector<std::pair<std::string, std::string>> fields;  ///< the plugin's own, for the opening: names and values
  std::uint32_t mark = 0;  ///< on every packet to the server (SO_MARK: CAP_NET_ADMIN); 0 = none

  [[nodiscard]] bool has_opening() const noexcept { return http || web_socket; }
};

/// Where `address` leads to: a host and a port, or a path.
struct ClientAddress {
  std::string host;            ///< name or address, without brackets; "" with a path
  std::string port;            ///< a number, or a service's name; "" with a path
  std::filesystem::path path;  ///< of a Unix socket; "" = none

  /// @throws std::invalid_argument  it has no port, or a path that is too long
  [[nodiscard]] static ClientAddress parse(std::string_view address);
};

/// What the words below look like, for a probe's usage.
inline constexpr char kClientUsage[] =
    "[--tls [--ca FILE] [--cert FILE --key FILE] [--server-name NAME] [--min-tls 1.2]] "
    "[(--http | --websocket) [--path /NAME] [--token-file FILE]]";

/// `own`, a space, kClientUsage: a probe's usage, which lives as long as the program where it is a constant.
template <std::size_t kSize>
consteval auto with_client_usage(const char (&own)[kSize]) {
  std::array<char, kSize + sizeof kClientUsage> out{};
  for (std::size_t i = 0; i < kSize; ++i) out[i] = own[i];
  out[kSize - 1] = ' ';
  for (std::size_t i = 0; i < sizeof kClientUsage; ++i) out[kSize + i] = kClientUsage[i];
  return out;
}

/// Takes words[at] if it is one of those above, with its value, into `out`, and moves `at` behind what it took.
/// @return false: it is another's, nothing is taken
/// @throws std::invalid_argument  its value is missing or none that it can have
[[nodiscard]] bool take_client_word(ClientOptions& out, std::span<const std::string_view> words, std::size_t& at);

/// Takes the words of a probe: an address, those above, and options of the probe's own, each with a value.
/// @param take_own  takes an option and its value; false: it has no such option
/// @throws std::invalid_argument  says what is wrong, or what `take_own` says
void read_probe_words(ClientOptions& out, std::span<const std::string_view> words,
                      const std::function<bool(std::string_view word, std::string_view value)>& take_own);

/// The value of `word`, as a whole number. @throws std::invalid_argument  it is none from `least` to `most`
[[nodiscard]] unsigned read_number(std::string_view word, std::string_view value, unsigned least, unsigned most);

/// Do they belong together, as in a certificate with its key?
/// @throws std::invalid_argument  they do not; says what to add or to leave out
void check_client_options(const ClientOptions& options);

/// The first line of a token's file, without spaces at its end.
/// @throws std::runtime_error  it cannot be read, is empty, or others can read it: who has it is its owner
[[nodiscard]] std::string read_token_file(const std::filesystem::path& file);

/// Can this program read a file that nobody else can, but root and, where it is another user's, its group? Pipes are
/// fine. @throws std::runtime_error  no; says what to do
void require_secret_file(const std::filesystem::path& file);

}  // namespace gatehouse
