#include "gateway/daemon/listener_certificates.hpp"

#include "gateway/base/random.hpp"
#include "gateway/base/refusal.hpp"
#include "gateway/base/utc_time.hpp"

#include <gatehouse/base/settled_stamp.hpp>

#include <openssl/crypto.h>

#include <algorithm>
#include <span>

namespace gatehouse {
namespace {

constexpr std::size_t kTicketKeySize = 80;  // gh_certificate.ticket_key
constexpr std::int64_t kDay = 86'400;

void wipe(std::string& secret) noexcept {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

/// As TLS has it: RFC 7301, 3.1.
std::string wire_form(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += static_cast<char>(static_cast<unsigned char>(name.size()));
    out += name;
  }
  return out;
}

const ListenAddress* address_of(const PluginSettings& settings, const BoundListener& listener) {
  const auto role = settings.config.listeners.find(listener.role());
  if (role == settings.config.listeners.end()) return nullptr;
  for (const ListenAddress& address : role->second)
    if (address.text == listener.address().text) return &address;
  return nullptr;
}

std::shared_ptr<const CertificateFiles> find(const ListenerCertificates::Readings& readings, const TlsConfig& config) {
  for (const auto& reading : readings)
    if (reading.config == config) return reading.files;
  return nullptr;
}

/// "" or a sentence of a chain that is not valid, or will not be for long.
std::string remark_of(const CertificateFiles& files, const TlsConfig& config, std::int64_t now) {
  std::string invalid = why_not_valid(files, config, now);
  if (!invalid.empty() || now < files.not_after - ListenerCertificates::kWarning) return invalid;
  return "the certificate in " + config.certificate.string() + " (" + files.weakest + ") expires at " +
         utc_text(files.not_after) + ", in " + std::to_string((files.not_after - now) / kDay) +
         " days; put a new one in its place";
}

std::string at_listener(const std::string& listener, const std::string& sentence) {
  return "TLS of `" + listener + "`: " + sentence;
}

bool same_texts(const CertificateFiles& a, const CertificateFiles& b) {
  return a.chain == b.chain && a.key == b.key && a.client_ca == b.client_ca;
}

}  // namespace

/// Is another chain of the same file served, which clients trust still?
bool ListenerCertificates::has_valid_one(const TlsConfig& config, const CertificateFiles& coming,
                                         std::int64_t now) const {
  return std::any_of(served_.begin(), served_.end(), [&](const auto& one) {
    const Served& served = one.second;
    return served.config.certificate == config.certificate && served.files->chain != coming.chain &&
           why_not_valid(*served.files, served.config, now).empty();
  });
}

void ListenerCertificates::read(const PluginConfig& plugin, std::int64_t now, Readings& out,
                                std::vector<ConfigProblem>& problems) const {
  for (const auto& [role, addresses] : plugin.listeners) {
    for (const ListenAddress& address : addresses) {
      if (!address.tls || find(out, *address.tls)) continue;
      const auto files = std::make_shared<CertificateFiles>();
      try {
        read_certificate_files(*address.tls, *files);
        if (has_valid_one(*address.tls, *files, now)) refuse_unless(why_not_valid(*files, *address.tls, now));
        out.push_back({*address.tls, files, address.place, address.text});
      } catch (const Refusal& why) {
        problems.push_back({address.place, at_listener(address.text, why.what())});
      }
    }
  }
}

std::vector<ConfigProblem> ListenerCertificates::remarks(const Readings& readings, std::int64_t now) {
  std::vector<ConfigProblem> out;
  for (const Reading& reading : readings) {
    const std::string remark = remark_of(*reading.files, reading.config, now);
    if (!remark.empty()) out.push_back({reading.place, at_listener(reading.listener, remark)});
  }
  return out;
}

bool ListenerCertificates::publish(std::uint32_t id, const Served& served) {
  return table_->publish(id, {.chain = served.files->chain,
                              .key = served.files->key,
                              .client_ca = served.files->client_ca,
                              .alpn = wire_form(served.config.alpn),
                              .ticket_key = served.ticket_key,
                              .ticket_key_before = served.ticket_key_before,
                              .least_version = served.config.takes_tls12 ? 0x0303U : 0x0304U,
                              .ktls = served.config.ktls});
}

ListenerCertificates::Served::~Served() {
  wipe(ticket_key);
  wipe(ticket_key_before);
}

/// When it is time.
bool ListenerCertificates::rotate(Served& served, SteadyTime now) {
  if (now < served.rotate_at) return false;
  wipe(served.ticket_key_before);
  served.ticket_key_before.swap(served.ticket_key);
  served.ticket_key.resize(kTicketKeySize);
  fill_random(std::as_writable_bytes(std::span(served.ticket_key)));
  served.rotate_at = now + kRotation;
  return true;
}

bool ListenerCertificates::serve(const PluginSettings& settings, const Readings& readings, SteadyTime now,
                                 bool only_new) {
  bool is_new = false;
  for (const auto& listener : settings.listeners) {
    const ListenAddress* const address = address_of(settings, *listener);
    if (address == nullptr || !address->tls) continue;
    if (only_new && served_.count(listener->id()) != 0) continue;
    const auto files = find(readings, *address->tls);
    if (files == nullptr) continue;  // a plugin that leaves
    Served& served = served_[listener->id()];
    served.plugin = settings.config.name;
    served.listener = address->text;
    served.config = *address->tls;
    served.files = files;
    served.tried.reset();  // what was written meanwhile is looked at soon
    served.refused.clear();
    served.tell_at = 0;
    rotate(served, now);
    is_new = publish(listener->id(), served) || is_new;
  }
  return is_new;
}

bool ListenerCertificates::keep_only(const std::set<std::uint32_t>& listeners) {
  bool is_new = false;
  for (auto one = served_.begin(); one != served_.end();) {
    if (listeners.count(one->first) != 0) {
      ++one;
      continue;
    }
    is_new = table_->remove(one->first) || is_new;
    one = served_.erase(one);
  }
  return is_new;
}

/// Takes files that are others than those which were tried last. @return there is something to publish
bool ListenerCertificates::look(Served& served, std::int64_t unix_now) {
  const std::array<FileStamp, 3> stamps = stamps_of(served.config);
  if (stamps == served.tried && served.refused.empty()) return false;  // what is mended with chmod moves no stamp
  const auto files = std::make_shared<CertificateFiles>();
  std::string why;
  bool is_same = false;
  try {
    read_certificate_files(served.config, *files);
    is_same = same_texts(*files, *served.files);
    if (!is_same) why = why_not_valid(*files, served.config, unix_now);
  } catch (const Refusal& refusal) {
    why = refusal.what();
  }
  served.tried.reset();
  if (std::all_of(stamps.begin(), stamps.end(), &is_settled)) served.tried = stamps;
  const bool is_news = why != served.refused;
  served.refused = why;
  if (!why.empty()) {
    if (is_news)
      journal_->write(GH_LOG_WARN, "gateway", "changed files of a certificate are not taken; the former ones go on",
                      {{"plugin", served.plugin}, {"listener", served.listener}, {"why", why}});
    return false;
  }
  if (is_same) return false;
  served.files = files;
  served.tell_at = 0;
  journal_->write(GH_LOG_INFO, "gateway", "certificate replaced",
                  {{"plugin", served.plugin},
                   {"listener", served.listener},
                   {"file", served.config.certificate.string()},
                   {"expires", rfc3339(files->not_after)}});
  return true;
}

/// Once a day while it is not valid, and from two weeks before it expires on.
void ListenerCertificates::tell_times(Served& served, std::int64_t unix_now) {
  const CertificateFiles& files = *served.files;
  const bool is_early = unix_now < files.not_before, is_over = unix_now >= files.not_after;
  if ((!is_early && unix_now < files.not_after - kWarning) || unix_now < served.tell_at) return;
  served.tell_at = unix_now + kDay;
  const char* const text = is_over    ? "a certificate has expired; replace it"
                           : is_early ? "a certificate is not valid yet; see this machine's clock"
                                      : "a certificate expires soon; replace it";
  journal_->write(is_over || is_early ? GH_LOG_ERROR : GH_LOG_WARN, "gateway", text,
                  {{"plugin", served.plugin},
                   {"listener", served.listener},
                   {"file", served.config.certificate.string()},
                   {is_early ? "valid_from" : "expires", rfc3339(is_early ? files.not_before : files.not_after)}});
}

bool ListenerCertificates::watch(SteadyTime now, std::int64_t unix_now) {
  bool is_new = false;
  for (auto& [id, served] : served_) {
    const bool other_files = look(served, unix_now), other_keys = rotate(served, now);
    if (other_files || other_keys) is_new = publish(id, served) || is_new;
    tell_times(served, unix_now);
  }
  return is_new;
}

std::vector<std::string> ListenerCertificates::reasons(std::int64_t unix_now) const {
  std::set<std::string> out;  // listeners share files
  for (const auto& [id, served] : served_) {
    const std::string remark = remark_of(*served.files, served.config, unix_now);
    if (!remark.empty()) out.insert(remark);
    if (!served.refused.empty())
      out.insert("changed files of a certificate are not taken, and the former ones go on: " + served.refused);
  }
  return {out.begin(), out.end()};
}

void ListenerCertificates::write_metrics(OpenMetrics& out) const {
  for (const auto& [id, served] : served_)
    out.gauge("gatehouse_certificate_expiry_seconds", "When the listener's certificate expires, in Unix time.",
              {{"plugin", served.plugin}, {"listener", served.listener}}, served.files->not_after);
}

}  // namespace gatehouse
