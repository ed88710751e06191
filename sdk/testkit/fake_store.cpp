#include <gatehouse/testkit/fake_store.hpp>

#include <gatehouse/plugin/host.hpp>

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <stdexcept>

namespace gatehouse::testkit {
namespace {

constexpr std::size_t kLongestName = 255;  // of a key, a resource, a value
constexpr std::size_t kShortestSecret = 32;
constexpr std::size_t kLargestBlob = 4096;
constexpr std::ptrdiff_t kMostLeases = 4096;  // of a session

std::string sha256(std::string_view text) {
  std::string digest(32, '\0');
  if (EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(),
                 nullptr) != 1)
    throw std::runtime_error("libcrypto cannot compute SHA-256");
  return digest;
}

std::string text_of(gh_bytes bytes) { return std::string(from_border(bytes)); }

bool is_name(gh_bytes name) { return name.size > 0 && name.size <= kLongestName; }

std::uint64_t load(const std::uint64_t& cell) noexcept {
  return std::atomic_ref(const_cast<std::uint64_t&>(cell)).load(std::memory_order_relaxed);
}

}  // namespace

/// One instance as somebody who waits.
struct FakeStore::Gate {
  void complete(const gh_completion& completion, gh_status status) {
    const std::scoped_lock lock(mutex);
    if (open) completion.done(completion.context, completion.token, status);
  }
  void close() {
    const std::scoped_lock lock(mutex);
    open = false;
  }
  std::recursive_mutex mutex;  // held during a completion, which may ask for more
  bool open = true;
};

FakeStore::FakeStore(std::function<std::uint64_t()> unix_now) : unix_now_(std::move(unix_now)) {}
FakeStore::~FakeStore() = default;

std::unique_ptr<FakeStore::Instance> FakeStore::instance(std::string plugin) {
  return std::make_unique<Instance>(*this, std::move(plugin));
}

void FakeStore::hold_durable(bool hold) {
  {
    const std::scoped_lock lock(mutex_);
    if (hold && !disk_) disk_ = as_on_disk();
  }
  if (hold) return;
  release_durable(GH_OK);
  const std::scoped_lock lock(mutex_);
  disk_.reset();
}

void FakeStore::release_durable(gh_status status) {
  std::vector<Waiting> told;
  {
    const std::scoped_lock lock(mutex_);
    if (disk_ && status == GH_OK) disk_ = as_on_disk();
    told = std::exchange(waiting_, {});
  }
  for (const Waiting& one : told) one.who->complete(one.completion, status);
}

std::size_t FakeStore::waiting() const {
  const std::scoped_lock lock(mutex_);
  return waiting_.size();
}

void FakeStore::refuse_new(gh_status status) {
  const std::scoped_lock lock(mutex_);
  refusal_ = status;
}

void FakeStore::restart() {
  std::vector<std::shared_ptr<Gate>> gates;  // closed without the lock, which a completion under way may want
  {
    const std::scoped_lock lock(mutex_);
    for (Instance* instance : instances_) {
      instance->alive_ = false;
      gates.push_back(instance->gate_);
    }
  }
  for (const auto& gate : gates) gate->close();
  const std::scoped_lock lock(mutex_);
  waiting_.clear();
  refusal_ = GH_OK;
  memory_ = disk_ ? std::move(*disk_) : as_on_disk();
  disk_.reset();
  erase_if([](const Session& session) { return session.index.empty(); });
  doubts_leases_ = false;
  for (auto& [id, session] : memory_.sessions) {
    session.cells = make_cells(session.facts);
    session.counts = nullptr;
    session.owner = nullptr;
  }
}

void FakeStore::doubt_leases(bool doubt) {
  const std::scoped_lock lock(mutex_);
  doubts_leases_ = doubt;
}

void FakeStore::delay_finds(unsigned count) {
  const std::scoped_lock lock(mutex_);
  delayed_finds_ = count;
}

void FakeStore::expire() {
  const std::scoped_lock lock(mutex_);
  const std::uint64_t now = unix_now_();
  for (auto& [id, session] : memory_.sessions)
    if (session.facts.expires_unix <= now) std::atomic_ref(session.cells->opening).fetch_add(1);
  erase_if([now](const Session& session) { return session.facts.expires_unix <= now; });
}

std::vector<FakeSession> FakeStore::sessions() const {
  const std::scoped_lock lock(mutex_);
  std::vector<FakeSession> out;
  for (const auto& [id, session] : memory_.sessions) {
    out.push_back(session.facts);
    count(out.back(), *session.cells);
    for (const auto& [name, lease] : memory_.leases)
      if (lease.session == id) out.back().leases.push_back(name.second);
  }
  return out;
}

std::optional<std::string> FakeStore::value(const std::string& plugin, const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  const auto found = memory_.values.find({plugin, name});
  if (found == memory_.values.end()) return {};
  return found->second.bytes;
}

bool FakeStore::is_secret(const std::string& plugin, const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  const auto found = memory_.values.find({plugin, name});
  return found != memory_.values.end() && found->second.kind == GH_VALUE_SECRET;
}

void FakeStore::count(FakeSession& facts, const gh_session_cells& cells) {
  facts.bytes_up = load(cells.bytes_up);
  facts.bytes_down = load(cells.bytes_down);
  facts.packets_up = load(cells.packets_up);
  facts.packets_down = load(cells.packets_down);
  facts.state[0] = load(cells.state[0]);
  facts.state[1] = load(cells.state[1]);
}

FakeStore::State FakeStore::as_on_disk() const {
  State out = memory_;
  for (auto& [id, session] : out.sessions) count(session.facts, *session.cells);
  return out;
}

template <class Which>
void FakeStore::erase_if(Which which) {
  std::erase_if(memory_.sessions, [&](const auto& entry) { return which(entry.second); });
  std::erase_if(memory_.leases, [&](const auto& entry) { return !memory_.sessions.contains(entry.second.session); });
}

gh_session_cells* FakeStore::make_cells(const FakeSession& facts) {
  return &cells_.emplace_back(
      gh_session_cells{facts.bytes_up, facts.bytes_down, facts.packets_up, facts.packets_down, 0, {}});
}

/// Makes a change under the lock; then what was asked is durable, or waits.
template <class Ask>
gh_status FakeStore::Instance::ask(void* context, const gh_completion* durable, Ask&& change) noexcept {
  Instance& self = *static_cast<Instance*>(context);
  std::unique_lock lock(self.store_.mutex_);
  if (!self.alive_) return GH_E_STATE;
  const gh_status status = change(self);
  if (status != GH_OK || durable == nullptr) return status;
  if (self.store_.disk_) {
    self.store_.waiting_.push_back({self.gate_, *durable});
  } else {
    lock.unlock();
    self.gate_->complete(*durable, GH_OK);
  }
  return status;
}

FakeStore::Instance::Instance(FakeStore& store, std::string plugin)
    : store_(store),
      plugin_(std::move(plugin)),
      gate_(std::make_shared<Gate>()),
      sessions_{sizeof sessions_,
                0,
                this,
                [](void* context, gh_lane* lane, gh_session* session, const gh_completion* durable) {
                  return ask(context, durable, [&](Instance& self) { return self.open(lane, *session); });
                },
                [](void* context, gh_lane*, const gh_session* session, const gh_completion* durable) {
                  return ask(context, durable, [&](Instance& self) { return self.touch(*session); });
                },
                [](void* context, gh_lane*, std::uint64_t id) {
                  return ask(context, nullptr, [&](Instance& self) { return self.end(id); });
                },
                [](void* context, gh_lane*, const gh_lease* lease, const gh_completion* durable) {
                  return ask(context, durable, [&](Instance& self) { return self.lease(*lease); });
                },
                [](void* context, gh_lane*, std::uint64_t session, gh_bytes resource) {
                  return ask(context, nullptr, [&](Instance& self) { return self.release(session, resource); });
                },
                [](void* context, void (*visit)(void*, const gh_session*), void (*visit_lease)(void*, const gh_lease*),
                   void* visitor) {
                  return ask(context, nullptr, [&](Instance& self) {
                    self.for_each(visit, visit_lease, visitor);
                    return GH_OK;
                  });
                },
                [](void* context, gh_lane* lane, gh_session* session, const gh_completion* later) {
                  return find(context, lane, *session, later);
                },
                [](void* context, gh_lane* lane, gh_session* session) {
                  return ask(context, nullptr, [&](Instance& self) { return self.adopt(lane, *session); });
                },
                [](void* context, gh_lane*, std::uint64_t id, std::uint64_t** out) {
                  return ask(context, nullptr, [&](Instance& self) { return self.counts(id, out); });
                }},
      values_{
          sizeof values_,
          0,
          this,
          [](void* context, gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size) {
            return ask(context, nullptr, [&](Instance& self) { return self.get(name, out, capacity, size); });
          },
          [](void* context, gh_bytes name, gh_bytes value, std::uint32_t kind, const gh_completion* durable) {
            return ask(context, durable, [&](Instance& self) { return self.put(name, value, kind); });
          },
          [](void* context, gh_bytes name, std::uint64_t count, std::uint64_t* first, const gh_completion* durable) {
            return ask(context, durable, [&](Instance& self) { return self.reserve(name, count, first); });
          }} {
  const std::scoped_lock lock(store_.mutex_);
  store_.instances_.insert(this);
}

FakeStore::Instance::~Instance() {
  drop_completions();
  const std::scoped_lock lock(store_.mutex_);
  store_.instances_.erase(this);
  store_.erase_if([this](const Session& session) { return session.owner == this && session.index.empty(); });
  for (auto& [id, session] : store_.memory_.sessions)
    if (session.owner == this) session.owner = nullptr;
}

void FakeStore::Instance::drop_completions() noexcept { gate_->close(); }

FakeStore::Session* FakeStore::Instance::find(std::uint64_t id) {
  const auto found = store_.memory_.sessions.find(id);
  return found != store_.memory_.sessions.end() && found->second.facts.plugin == plugin_ ? &found->second : nullptr;
}

std::optional<std::string> FakeStore::Instance::index_of(const gh_session& session) const {
  const std::string key = text_of(session.key), identity = text_of(session.identity);
  const bool is_secret = identity.empty() && !key.empty();
  if (key.size() > kLongestName || (is_secret && key.size() < kShortestSecret)) return {};
  return key.empty() ? "" : plugin_ + '\0' + identity + '\0' + (is_secret ? sha256(key) : key);
}

FakeStore::Session* FakeStore::Instance::find_by(const std::string& index) {
  for (auto& [id, known] : store_.memory_.sessions)
    if (!index.empty() && known.index == index && known.facts.expires_unix > store_.unix_now_()) return &known;
  return nullptr;
}

/// What the host sets of a session that was there.
void FakeStore::Instance::fill(gh_lane* lane, Session& record, gh_session& out) {
  Lent& lent = lent_[lane];
  lent.blob = record.facts.blob;
  out.blob = to_border(lent.blob);
  out.blob_version = record.facts.blob_version;
  out.id = record.facts.id;
  out.cells = record.cells;
  out.opening = load(record.cells->opening);
  out.resumed = 1;
  out.lane = record.owner == this ? record.lane : UINT32_MAX;
  out.last_seen_unix = record.facts.last_seen_unix;
  out.expires_unix = record.facts.expires_unix;
}

gh_status FakeStore::Instance::open(gh_lane* lane, gh_session& session) {
  if (session.struct_size < GH_SIZE_1_0(gh_session)) return GH_E_INVALID;
  const auto index = index_of(session);
  if (!index || session.blob.size > kLargestBlob) return GH_E_INVALID;
  const std::uint64_t wanted = session.expires_unix;
  Session* record = find_by(*index);
  if (record == nullptr) {
    const bool has_key = !index->empty();
    if (store_.refusal_ != GH_OK && (has_key || store_.refusal_ == GH_E_LIMIT)) return store_.refusal_;
    const std::uint64_t id = ++store_.last_id_;
    record = &store_.memory_.sessions[id];
    const std::string key = text_of(session.key), identity = text_of(session.identity);
    record->facts.id = id;
    record->facts.plugin = plugin_;
    record->facts.key = identity.empty() && has_key ? sha256(key) : key;
    record->facts.identity = identity;
    record->facts.blob_version = session.blob_version;
    record->facts.blob = text_of(session.blob);
    record->facts.last_seen_unix = store_.unix_now_();
    record->index = *index;
    record->cells = store_.make_cells(record->facts);
    const gh_bytes blob = session.blob;
    fill(lane, *record, session);
    session.blob = blob;
    session.resumed = 0;
  } else {
    fill(lane, *record, session);
  }
  if (wanted != GH_EXPIRY_SAME) record->facts.expires_unix = wanted;
  session.expires_unix = record->facts.expires_unix;
  record->owner = this;
  record->lane = lane->index;
  record->facts.source = from_border(session.source);
  record->facts.last_seen_unix = store_.unix_now_();
  session.opening = std::atomic_ref(record->cells->opening).fetch_add(1) + 1;
  return GH_OK;
}

gh_status FakeStore::Instance::find(void* context, gh_lane* lane, gh_session& session,
                                    const gh_completion* later) noexcept {
  Instance& self = *static_cast<Instance*>(context);
  {
    const std::scoped_lock lock(self.store_.mutex_);
    if (!self.alive_) return GH_E_STATE;
    if (session.struct_size < GH_SIZE_1_0(gh_session)) return GH_E_INVALID;
    const auto index = self.index_of(session);
    if (!index || index->empty()) return GH_E_INVALID;
    const bool delayed = later != nullptr && self.store_.delayed_finds_ > 0;
    if (!delayed) {
      Session* const record = self.find_by(*index);
      if (record == nullptr) return GH_E_NOT_FOUND;
      self.fill(lane, *record, session);
      return GH_OK;
    }
    --self.store_.delayed_finds_;
    if (self.store_.disk_) {
      self.store_.waiting_.push_back({self.gate_, *later});
      return GH_PENDING;
    }
  }
  self.gate_->complete(*later, GH_OK);
  return GH_PENDING;
}

gh_status FakeStore::Instance::counts(std::uint64_t id, std::uint64_t** out) {
  Session* const session = find(id);
  if (session == nullptr) return GH_E_NOT_FOUND;
  if (session->counts == nullptr) session->counts = &store_.counts_.emplace_back();
  *out = session->counts->data();
  return GH_OK;
}

gh_status FakeStore::Instance::adopt(gh_lane* lane, gh_session& session) {
  if (session.struct_size < GH_SIZE_1_0(gh_session)) return GH_E_INVALID;
  Session* const record = find(session.id);
  if (record == nullptr || record->facts.expires_unix <= store_.unix_now_()) return GH_E_NOT_FOUND;
  if (record->owner == this && record->lane != UINT32_MAX) return GH_E_STATE;
  fill(lane, *record, session);
  Lent& lent = lent_[lane];
  lent.key = record->facts.key;
  lent.identity = record->facts.identity;
  session.key = to_border(lent.key);
  session.identity = to_border(lent.identity);
  session.source = to_border(record->facts.source);
  session.opening = std::atomic_ref(record->cells->opening).fetch_add(1) + 1;
  record->owner = this;
  record->lane = lane->index;
  return GH_OK;
}

gh_status FakeStore::Instance::touch(const gh_session& session) {
  if (session.struct_size < GH_SIZE_1_0(gh_session) || session.blob.size > kLargestBlob) return GH_E_INVALID;
  Session* const record = find(session.id);
  if (record == nullptr) return GH_E_NOT_FOUND;
  record->facts.source = from_border(session.source);
  record->facts.last_seen_unix = store_.unix_now_();
  if (session.expires_unix != GH_EXPIRY_SAME) record->facts.expires_unix = session.expires_unix;
  if (session.blob.data != nullptr) {
    record->facts.blob = text_of(session.blob);
    record->facts.blob_version = session.blob_version;
  }
  return GH_OK;
}

gh_status FakeStore::Instance::end(std::uint64_t id) {
  Session* const record = find(id);
  if (record == nullptr) return GH_E_NOT_FOUND;
  std::atomic_ref(record->cells->opening).fetch_add(1);
  store_.erase_if([record](const Session& session) { return &session == record; });
  return GH_OK;
}

gh_status FakeStore::Instance::lease(const gh_lease& lease) {
  if (lease.struct_size < GH_SIZE_1_0(gh_lease) || !is_name(lease.resource)) return GH_E_INVALID;
  if (find(lease.session) == nullptr) return GH_E_NOT_FOUND;
  const Name name{plugin_, text_of(lease.resource)};
  const auto held = store_.memory_.leases.find(name);
  const bool is_live = held != store_.memory_.leases.end() &&
                       (held->second.expires_unix == 0 || held->second.expires_unix > store_.unix_now_());
  if (is_live && held->second.session != lease.session) return GH_E_EXISTS;
  const bool is_renewal = held != store_.memory_.leases.end() && held->second.session == lease.session;
  if (!is_renewal && store_.refusal_ != GH_OK) return store_.refusal_;
  if (held == store_.memory_.leases.end() && store_.doubts_leases_) return GH_E_IN_DOUBT;
  if (held == store_.memory_.leases.end() || held->second.session != lease.session) {
    const auto is_its = [&](const auto& entry) { return entry.second.session == lease.session; };
    if (std::count_if(store_.memory_.leases.begin(), store_.memory_.leases.end(), is_its) >= kMostLeases)
      return GH_E_LIMIT;
  }
  store_.memory_.leases[name] = {lease.session, lease.expires_unix};
  return GH_OK;
}

gh_status FakeStore::Instance::release(std::uint64_t session, gh_bytes resource) {
  const auto held = store_.memory_.leases.find({plugin_, text_of(resource)});
  if (held == store_.memory_.leases.end() || held->second.session != session) return GH_E_NOT_FOUND;
  store_.memory_.leases.erase(held);
  return GH_OK;
}

void FakeStore::Instance::for_each(void (*visit)(void*, const gh_session*), void (*visit_lease)(void*, const gh_lease*),
                                   void* visitor) {
  for (auto& [id, record] : store_.memory_.sessions) {
    if (record.facts.plugin != plugin_ || record.facts.expires_unix <= store_.unix_now_()) continue;
    gh_session out{};
    out.struct_size = sizeof out;
    out.blob_version = record.facts.blob_version;
    out.key = to_border(record.facts.key);
    out.identity = to_border(record.facts.identity);
    out.source = to_border(record.facts.source);
    out.blob = to_border(record.facts.blob);
    out.id = id;
    out.cells = record.cells;
    out.opening = load(record.cells->opening);
    out.last_seen_unix = record.facts.last_seen_unix;
    out.expires_unix = record.facts.expires_unix;
    out.resumed = 1;
    out.lane = UINT32_MAX;
    visit(visitor, &out);
  }
  for (const auto& [name, lease] : store_.memory_.leases) {
    if (name.first != plugin_) continue;
    const gh_lease out{sizeof out, 0, to_border(name.second), lease.session, lease.expires_unix};
    visit_lease(visitor, &out);
  }
}

gh_status FakeStore::Instance::get(gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size) {
  if (!is_name(name)) return GH_E_INVALID;
  const auto found = store_.memory_.values.find({plugin_, text_of(name)});
  if (found == store_.memory_.values.end()) return GH_E_NOT_FOUND;
  *size = found->second.bytes.size();
  if (*size <= capacity) std::memcpy(out, found->second.bytes.data(), *size);
  return GH_OK;
}

gh_status FakeStore::Instance::put(gh_bytes name, gh_bytes value, std::uint32_t kind) {
  if (!is_name(name) || value.size > kLargestBlob || kind > GH_VALUE_SECRET) return GH_E_INVALID;
  if (value.data == nullptr) {
    store_.memory_.values.erase({plugin_, text_of(name)});
  } else {
    store_.memory_.values[{plugin_, text_of(name)}] = {text_of(value), kind};
  }
  return GH_OK;
}

gh_status FakeStore::Instance::reserve(gh_bytes name, std::uint64_t count, std::uint64_t* first) {
  if (!is_name(name) || count == 0) return GH_E_INVALID;
  const auto known = store_.memory_.values.find({plugin_, text_of(name)});
  std::uint64_t next = 1;
  if (known != store_.memory_.values.end()) {
    const std::string& text = known->second.bytes;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), next);
    if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size()) return GH_E_INVALID;
  }
  if (count > UINT64_MAX - next) return GH_E_INVALID;
  *first = next;
  store_.memory_.values[{plugin_, text_of(name)}].bytes = std::to_string(next + count);
  return GH_OK;
}

}  // namespace gatehouse::testkit
