#include <gatehouse/net/tls_layer.hpp>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace gatehouse {
namespace {

constexpr int kSetRecordKind = 74;  // BIO_CTRL_SET_KTLS_SEND_CTRL_MSG, which <openssl/bio.h> has in a comment alone
constexpr std::size_t kHandshakeRead = 16 * 1024;
constexpr std::size_t kMostHandshake = 64 * 1024;  // bytes of a client before it is let in
constexpr unsigned kMostWithoutContent = 16;       // records in one read
constexpr std::size_t kWithoutContentWork = 16;    // new keys, in halves of a microsecond; a record is one
constexpr std::size_t kMostRecords = 256;          // in one read; the rest is told of in the next turn
constexpr std::size_t kMostReceived = 64 * 1024;   // of the socket in one read

/// The text of an ASN.1 string, if it is one that a row of `credentials` can hold.
void add_name(std::vector<std::string>& names, const ASN1_STRING* text) {
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, text);
  if (size <= 0) return;
  std::string name(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  if (name.find('\0') == name.npos) names.push_back(std::move(name));
}

}  // namespace

TlsLayer::TlsLayer(int fd, std::shared_ptr<const TlsContext> context, Bytes received)
    : context_(std::move(context)),
      buffers_(context_->buffers()),
      ssl_(context_->make_session(*this, fd)),
      socket_(fd),
      fd_(fd),
      carried_(received.begin(), received.end()) {}

TlsLayer::~TlsLayer() = default;

// ---- what OpenSSL calls

int TlsLayer::give(BIO* bio, char* out, int size) noexcept {
  Bytes& input = static_cast<TlsLayer*>(BIO_get_data(bio))->input_;
  BIO_clear_retry_flags(bio);
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(input.size(), static_cast<std::size_t>(size));
  std::memcpy(out, input.data(), taken);
  input = input.subspan(taken);
  return static_cast<int>(taken);
}

int TlsLayer::take(BIO* bio, const char* in, int size) noexcept {
  auto& layer = *static_cast<TlsLayer*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (layer.kernel_.is_on())
    return layer.send_by_kernel(bio, Bytes(reinterpret_cast<const std::byte*>(in), static_cast<std::size_t>(size)));
  std::vector<std::byte>& output = layer.buffers_->output;
  try {
    const auto* const bytes = reinterpret_cast<const std::byte*>(in);
    output.insert(output.end(), bytes, bytes + size);
  } catch (const std::bad_alloc&) {
    return -1;
  }
  return size;
}

/// A port with a socket behind it is for output, and leaves what concerns the kernel to that, but for records: to write
/// them, OpenSSL would need a process that ignores SIGPIPE. It flushes before it gives its keys to the socket: where
/// all was sent it may.
long TlsLayer::control(BIO* bio, int command, long number, void* pointer) noexcept {
  BIO* const socket = BIO_next(bio);
  if (socket == nullptr) return command == BIO_CTRL_FLUSH ? 1 : 0;
  auto& layer = *static_cast<TlsLayer*>(BIO_get_data(bio));
  if (command == BIO_CTRL_FLUSH) {
    static_cast<void>(layer.send_output());
    return 1;
  }
  if (command == kSetRecordKind) {
    layer.record_kind_ = static_cast<std::uint8_t>(number);
    return 0;
  }
  if (command == BIO_CTRL_DUP || command == BIO_CTRL_POP || command == BIO_CTRL_PUSH) return 0;
  if (!layer.kernel_.is_on() && (layer.socket_.has_left_over() || layer.broken_)) return 0;
  const long done = BIO_ctrl(socket, command, number, pointer);
  if (!layer.kernel_.is_on() && BIO_get_ktls_send(socket)) layer.kernel_.begin(layer.fd_);
  return done;
}

/// What OpenSSL has to say, now that the kernel makes the records.
int TlsLayer::send_by_kernel(BIO* bio, Bytes content) noexcept {
  const int size = static_cast<int>(content.size());
  if (record_kind_ == 0) return -1;          // an OpenSSL that does not say
  if (socket_.has_left_over()) return size;  // an alert, which must not overtake the rest
  const auto sent = kernel_.send_record(record_kind_, content);
  if (sent) return size;
  if (sent.error() == Errc::would_block) BIO_set_retry_write(bio);
  return -1;
}

// ---- input

/// What was carried stands at the front of the shared buffer.
void TlsLayer::lend_input() noexcept {
  std::vector<std::byte>& shared = buffers_->input;
  std::copy(carried_.begin(), carried_.end(), shared.begin());
  input_ = Bytes(shared).first(carried_.size());
}

/// Reads so much behind what has not been used.
Result<void> TlsLayer::receive(std::size_t most) noexcept {
  std::vector<std::byte>& shared = buffers_->input;
  const std::size_t rest = input_.size();
  if (rest != 0) std::memmove(shared.data(), input_.data(), rest);
  const auto got = receive_some(fd_, MutableBytes(shared).subspan(rest, std::min(most, shared.size() - rest)));
  input_ = Bytes(shared).first(rest + (got ? *got : 0));
  if (!got) return got.error();
  return boost::system::in_place_value;
}

void TlsLayer::carry_rest() {
  if (input_.empty() && carried_.empty()) return;
  if (input_.empty())
    carried_ = std::vector<std::byte>();  // which "= {}" would not give back
  else
    carried_.assign(input_.begin(), input_.end());
  input_ = {};
}

Result<void> TlsLayer::handshake() noexcept {
  if (broken_) return broken_;
  lend_input();
  carried_ = std::vector<std::byte>();
  if (const auto got = receive(kHandshakeRead); !got && (got.error() != Errc::would_block || input_.empty())) {
    input_ = {};
    return got;
  }
  handshake_bytes_ += input_.size();
  ERR_clear_error();
  int why = SSL_ERROR_WANT_READ;
  for (unsigned steps = 0; steps <= kMostWithoutContent && why == SSL_ERROR_WANT_READ; ++steps) {
    const int done = SSL_accept(ssl_.get());
    why = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
    if (input_.empty()) break;
  }
  if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ) {
    failure_ = take_openssl_error();
    if (const long verified = SSL_get_verify_result(ssl_.get()); verified != X509_V_OK)
      failure_ += std::string(": ") + X509_verify_cert_error_string(verified);
    static_cast<void>(send_output());  // the alert
    return break_with(Errc::malformed);
  }
  if (const auto sent = send_output(); !sent) return sent;
  if (why == SSL_ERROR_NONE) try {  // what has come behind it is the user's
      carry_rest();
      return boost::system::in_place_value;
    } catch (const std::bad_alloc&) {
      return break_with(Errc::limit);
    }
  if (handshake_bytes_ > kMostHandshake || !input_.empty()) {
    failure_ = "the handshake is too long";
    return break_with(Errc::oversize);
  }
  return make_error_code(Errc::would_block);
}

Result<std::size_t> TlsLayer::read(MutableBytes out) noexcept {
  has_news_ = false;
  if (broken_) return broken_;
  std::size_t got = take_unread(out);
  lend_input();
  if (holds_input()) decrypt(out, got);
  Error failure = Errc::would_block;
  if (got < out.size() && input_.empty() && !broken_ && !is_ended_) {
    // So much that one record at most finds no room.
    if (const auto received = receive(std::clamp(out.size() - got + 512, TlsBuffers::kRecord, kMostReceived))) {
      decrypt(out, got);
    } else {
      failure = received.error();
    }
  }
  try {
    carry_rest();
  } catch (const std::bad_alloc&) {
    return break_with(Errc::limit);
  }
  if (!buffers_->output.empty()) static_cast<void>(send_output());
  has_news_ = got != 0 && (broken_ || is_ended_);
  if (got != 0) return got;
  if (broken_) return broken_;
  if (is_ended_) return make_error_code(Errc::closed);
  return failure;
}

std::size_t TlsLayer::take_unread(MutableBytes out) noexcept {
  const std::size_t size = std::min(out.size(), unread_.size());
  std::copy_n(unread_.begin(), size, out.begin());
  if (size == unread_.size())
    unread_ = std::vector<std::byte>();
  else
    unread_.erase(unread_.begin(), unread_.begin() + static_cast<std::ptrdiff_t>(size));
  return size;
}

/// Opens records until there are no more or `out` is full.
void TlsLayer::decrypt(MutableBytes out, std::size_t& got) noexcept {
  unsigned without_content = 0;
  const auto end_with = [this](std::string why, Errc code) {
    failure_ = std::move(why);
    static_cast<void>(break_with(code));
  };
  for (std::size_t records = 0; got < out.size() && records < kMostRecords; ++records, ++work_) {
    std::size_t size = 0;
    ERR_clear_error();
    const int done = SSL_read_ex(ssl_.get(), out.data() + got, out.size() - got, &size);
    got += size;
    if (done == 1) continue;
    switch (SSL_get_error(ssl_.get(), done)) {
      case SSL_ERROR_WANT_READ:
        if (kernel_.is_on() && SSL_get_key_update_type(ssl_.get()) != SSL_KEY_UPDATE_NONE)
          return end_with("the client asks for other keys, which the kernel does not take", Errc::unsupported);
        if (input_.empty()) return;
        work_ += kWithoutContentWork;
        if (++without_content <= kMostWithoutContent) continue;
        return end_with("the client sends records without content", Errc::limit);
      case SSL_ERROR_ZERO_RETURN: is_ended_ = true; return;
      default: return end_with(take_openssl_error(), Errc::malformed);
    }
  }
}

// ---- output

Result<void> TlsLayer::put(std::span<const Bytes> parts) noexcept {
  if (broken_) return broken_;
  if (kernel_.is_on()) return put_by_kernel(parts);
  std::vector<std::byte>& plain = buffers_->plain;
  std::size_t filled = 0;
  const auto seal = [&](Bytes content) {
    std::size_t taken = 0;
    ERR_clear_error();
    return SSL_write_ex(ssl_.get(), content.data(), content.size(), &taken) == 1;
  };
  for (Bytes part : parts) {
    while (!part.empty()) {
      Bytes content;
      if (filled == 0 && (part.size() >= plain.size() || parts.size() == 1)) {  // a whole record of one part
        content = part.first(std::min(part.size(), plain.size()));
        part = part.subspan(content.size());
      } else {
        const std::size_t size = std::min(part.size(), plain.size() - filled);
        std::copy_n(part.begin(), size, plain.begin() + static_cast<std::ptrdiff_t>(filled));
        part = part.subspan(size);
        if ((filled += size) < plain.size()) continue;
        content = plain;
        filled = 0;
      }
      if (!seal(content)) return break_with(Errc::failed);
    }
  }
  if (filled != 0 && !seal(Bytes(plain).first(filled))) return break_with(Errc::failed);
  return send_output();
}

Result<void> TlsLayer::put_by_kernel(std::span<const Bytes> parts) noexcept {
  for (const Bytes part : parts) kernel_.add(part.size());
  const auto sent = socket_.put(parts);
  if (!sent) static_cast<void>(break_with(sent.error()));
  return sent;
}

Result<void> TlsLayer::flush() noexcept {
  const auto flushed = socket_.flush();
  if (!flushed && flushed.error() != Errc::would_block) owes_end_ = false;  // nobody is there
  if (!flushed || !owes_end_) return flushed;
  end_in_kernel();
  if (owes_end_) return make_error_code(Errc::would_block);
  return boost::system::in_place_value;
}

Result<void> TlsLayer::send_output() noexcept {
  std::vector<std::byte>& output = buffers_->output;
  if (output.empty()) return boost::system::in_place_value;
  const Bytes all = output;
  const auto sent = socket_.put({&all, 1});
  output.clear();
  if (!sent) static_cast<void>(break_with(sent.error()));
  return sent;
}

void TlsLayer::finish() noexcept {
  if (std::exchange(is_finished_, true)) return;
  if (kernel_.is_on()) return end_in_kernel();
  if (!broken_ && SSL_is_init_finished(ssl_.get()) == 1) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
    static_cast<void>(send_output());
  }
  socket_.finish();
}

/// close_notify behind all that was put; FIN when TCP has all records, for it would take no more.
void TlsLayer::end_in_kernel() noexcept {
  owes_end_ = !broken_ && SSL_is_init_finished(ssl_.get()) == 1;
  if (owes_end_ && socket_.has_left_over()) return;
  if (owes_end_ && !has_said_end_) {
    ERR_clear_error();
    const int said = SSL_shutdown(ssl_.get());
    has_said_end_ = said >= 0 || SSL_get_error(ssl_.get(), said) != SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
  }
  if (owes_end_ && !(has_said_end_ && kernel_.has_passed_all())) return;
  owes_end_ = false;
  socket_.finish();
}

Error TlsLayer::break_with(Error why) noexcept {
  input_ = {};
  buffers_->output.clear();
  return broken_ = why;
}

// ---- who it is

std::vector<std::string> TlsLayer::peer_names() const {
  const std::unique_ptr<X509, void (*)(X509*)> shown(SSL_get1_peer_certificate(ssl_.get()), X509_free);
  if (!shown || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
  // A ticket's certificate was valid when it was shown, which may be long ago.
  if (X509_cmp_current_time(X509_get0_notAfter(shown.get())) <= 0) return {};

  std::vector<std::string> out;
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(shown.get(), NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (const int wanted : {GEN_URI, GEN_DNS, GEN_EMAIL}) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {  // -1 of none
      int kind = 0;
      const void* const value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind);
      if (kind == wanted) add_name(out, static_cast<const ASN1_STRING*>(value));
    }
  }
  const X509_NAME* const subject = X509_get_subject_name(shown.get());
  if (const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); at >= 0)
    add_name(out, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  return out;
}

}  // namespace gatehouse
