#include "plugins/packet-tunnel/common/session_id.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/own_path.hpp>
#include <gatehouse/net/client_options.hpp>

#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

constexpr std::size_t kSize = 43, kLeast = 32, kMost = 64;
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string make_session_id() {
  std::array<unsigned char, kSize> random;
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
    throw std::runtime_error("the system gives no random bytes");
  std::string out;
  for (const unsigned char byte : random) out += kAlphabet[byte % 64];
  return out;
}

std::string keep_session_id(const std::filesystem::path& file) {
  if (std::filesystem::exists(file)) {
    const std::string id = read_token_file(file);
    const bool is_one =
        id.size() >= kLeast && id.size() <= kMost && id.find_first_not_of(kAlphabet) == std::string::npos;
    if (!is_one) throw std::runtime_error(file.string() + " holds no session id; remove it, and a new one is made");
    return id;
  }
  const std::string id = make_session_id();
  const UniqueFd made = open_or_make(file, O_WRONLY, 0600);
  if (!made) throw std::runtime_error("the session cannot be kept: " + why_not_opened(file, errno));
  const std::string line = id + '\n';
  if (::write(made.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) || ::fsync(made.get()) != 0)
    throw std::runtime_error("the session cannot be kept in " + file.string() + ": " + last_system_error().message());
  return id;
}

}  // namespace gatehouse::packet_tunnel
