#include <gatehouse/net/kernel_tls.hpp>

#include <gatehouse/base/endian.hpp>

#include <openssl/crypto.h>

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>

namespace gatehouse {
namespace {

constexpr std::size_t kHeader = 5, kTag = 16, kKind = 1;  // of a record; the last is TLS 1.3's (RFC 8446, 5.2)
constexpr std::size_t kNonce = 8;                         // of AES-GCM in TLS 1.2 (RFC 5288, 3)

union Crypto {
  tls_crypto_info info;
  tls12_crypto_info_aes_gcm_128 aes128;
  tls12_crypto_info_aes_gcm_256 aes256;
  tls12_crypto_info_chacha20_poly1305 chacha;
};

/// Its keys are the caller's to wipe.
bool get_crypto(int fd, Crypto& out, std::size_t size) noexcept {
  auto length = static_cast<socklen_t>(size);
  return getsockopt(fd, SOL_TLS, TLS_TX, &out, &length) == 0;
}

std::size_t size_of(std::uint16_t cipher) noexcept {
  switch (cipher) {
    case TLS_CIPHER_AES_GCM_128: return sizeof(Crypto::aes128);
    case TLS_CIPHER_AES_GCM_256: return sizeof(Crypto::aes256);
    case TLS_CIPHER_CHACHA20_POLY1305: return sizeof(Crypto::chacha);
    default: return 0;
  }
}

const unsigned char* sequence_of(const Crypto& crypto) noexcept {
  switch (crypto.info.cipher_type) {
    case TLS_CIPHER_AES_GCM_128: return crypto.aes128.rec_seq;
    case TLS_CIPHER_AES_GCM_256: return crypto.aes256.rec_seq;
    default: return crypto.chacha.rec_seq;
  }
}

std::size_t overhead_of(const tls_crypto_info& info) noexcept {
  if (info.version == TLS_1_3_VERSION) return kHeader + kKind + kTag;
  return kHeader + (info.cipher_type == TLS_CIPHER_CHACHA20_POLY1305 ? 0 : kNonce) + kTag;
}

constexpr std::uint8_t kGone = 7;  // TCP_CLOSE of the kernel's net/tcp_states.h

std::optional<tcp_info> info_of(int fd) noexcept {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return info;
}

std::optional<std::uint64_t> acknowledged(int fd) noexcept {
  const auto info = info_of(fd);
  if (!info) return {};
  return info->tcpi_bytes_acked;
}

/// What TCP has got: what was acknowledged, and what was not yet.
std::optional<std::uint64_t> bytes_of_tcp(int fd) noexcept {
  for (int i = 0; i < 8; ++i) {  // until no acknowledgement has come between the two
    const auto before = acknowledged(fd);
    int waiting = 0;
    if (!before || ioctl(fd, SIOCOUTQ, &waiting) != 0) return {};
    if (acknowledged(fd) == before) return *before + static_cast<std::uint64_t>(waiting);
  }
  return {};
}

}  // namespace

Result<void> KernelTls::prepare(int fd) noexcept {
  constexpr char kName[] = "tls";
  if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, kName, sizeof kName) == 0) return boost::system::in_place_value;
  if (errno == ENOENT) return Errc::unsupported;
  return last_system_error();
}

void KernelTls::begin(int fd) noexcept {
  fd_ = fd;
  Crypto crypto{};
  if (!get_crypto(fd, crypto, sizeof crypto.info)) return;
  crypto_size_ = size_of(crypto.info.cipher_type);
  if (crypto_size_ == 0) return;
  if (const auto at = place()) {
    first_ = *at;
    overhead_ = overhead_of(crypto.info);
  }
}

Result<void> KernelTls::send_record(std::uint8_t kind, Bytes content) noexcept {
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof kind)] = {};
  iovec part{const_cast<std::byte*>(content.data()), content.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_TLS;
  header->cmsg_type = TLS_SET_RECORD_TYPE;
  header->cmsg_len = CMSG_LEN(sizeof kind);
  *CMSG_DATA(header) = kind;
  const ssize_t sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR ? make_error_code(Errc::would_block) : last_system_error();
  if (static_cast<std::size_t>(sent) != content.size()) return Errc::truncated;
  content_ += content.size();
  return boost::system::in_place_value;
}

std::optional<KernelTls::Place> KernelTls::place() const noexcept {
  Crypto crypto{};
  if (!get_crypto(fd_, crypto, crypto_size_)) return {};
  const auto records = load_big<std::uint64_t>({reinterpret_cast<const std::byte*>(sequence_of(crypto)), 8});
  OPENSSL_cleanse(&crypto, sizeof crypto);
  const auto bytes = bytes_of_tcp(fd_);
  if (!bytes) return {};
  return Place{records, *bytes};
}

bool KernelTls::has_passed_all() const noexcept {
  if (const auto info = info_of(fd_); info && info->tcpi_state == kGone) return true;
  if (const auto at = overhead_ != 0 ? place() : std::nullopt)
    return at->bytes - first_.bytes >= content_ + (at->records - first_.records) * overhead_;
  int unsent = 0;  // the best guess of a kernel that does not say how many records there were
  return ioctl(fd_, SIOCOUTQNSD, &unsent) != 0 || unsent == 0;
}

}  // namespace gatehouse
