#include "gateway/services/certificates.hpp"

#include "gateway/base/guarded.hpp"
#include "gateway/base/lane.hpp"

#include <gatehouse/plugin/border.hpp>

#include <openssl/crypto.h>

namespace gatehouse {

static_assert(sizeof(std::atomic<std::uint64_t>) == sizeof(std::uint64_t), "plugins read the generation as a number");

void ListenerPem::wipe() noexcept {
  for (std::string* const secret : {&key, &ticket_key, &ticket_key_before})
    OPENSSL_cleanse(secret->data(), secret->size());
}

bool CertificateTable::publish(std::uint32_t listener, ListenerPem pem) {
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<const Entry>& entry = entries_[listener];
  if (entry && entry->pem == pem) {
    pem.wipe();
    return false;
  }
  const std::uint64_t generation = generation_.load(std::memory_order_relaxed) + 1;
  entry = std::make_shared<const Entry>(std::move(pem), generation);
  generation_.store(generation, std::memory_order_release);
  return true;
}

bool CertificateTable::remove(std::uint32_t listener) {
  const std::scoped_lock lock(mutex_);
  if (entries_.erase(listener) == 0) return false;
  generation_.fetch_add(1, std::memory_order_release);
  return true;
}

std::shared_ptr<const CertificateTable::Entry> CertificateTable::find(std::uint32_t listener) const {
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(listener);
  return found == entries_.end() ? nullptr : found->second;
}

PluginCertificates::PluginCertificates(std::shared_ptr<CertificateTable> all,
                                       std::shared_ptr<const ListenerNames> listeners, std::string plugin)
    : all_(std::move(all)), listeners_(std::move(listeners)), plugin_(std::move(plugin)) {
  table_ = {sizeof(gh_certificates), 0, this, reinterpret_cast<const std::uint64_t*>(&all_->generation_),
            [](void* context, gh_lane* lane, std::uint32_t listener, gh_certificate* out) noexcept {
              return static_cast<const PluginCertificates*>(context)->get(lane, listener, *out);
            }};
}

gh_status PluginCertificates::get(gh_lane* lane, std::uint32_t listener, gh_certificate& out) const noexcept {
  return guarded([&]() -> gh_status {
    if (out.struct_size < GH_SIZE_1_0(gh_certificate)) return GH_E_INVALID;
    if (!listeners_->owns(plugin_, listener)) return GH_E_NOT_FOUND;
    auto entry = all_->find(listener);
    if (!entry) return GH_E_NOT_FOUND;
    out.generation = entry->generation;
    out.chain = to_border(entry->pem.chain);
    out.key = to_border(entry->pem.key);
    out.client_ca = to_border(entry->pem.client_ca);
    out.alpn = to_border(entry->pem.alpn);
    out.ticket_key = to_border(entry->pem.ticket_key);
    out.ticket_key_before = to_border(entry->pem.ticket_key_before);
    out.least_version = entry->pem.least_version;
    out.ktls = entry->pem.ktls ? 1 : 0;
    HostLane::of(lane).certificate = std::move(entry);
    return GH_OK;
  });
}

}  // namespace gatehouse
