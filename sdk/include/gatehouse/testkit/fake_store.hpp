// Sessions, leases and values of a FakeHost: the rules of gh.sessions/1 and gh.values/1 in memory, with a disk that a
// test can hold back, and a process that it can let die.
#pragma once

#include <gatehouse/abi.h>
#include <gatehouse/base/address.hpp>

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace gatehouse::testkit {

/// A session as a test sees it.
struct FakeSession {
  std::uint64_t id = 0;                          ///< never 0; the same over restart()
  std::string plugin;                            ///< whose it is
  std::string key;                               ///< as for_each tells it
  std::string identity;                          ///< "token:bob", or "" = anonymous
  Endpoint source;                               ///< where its client was last
  std::uint64_t bytes_up = 0;                    ///< from the client, as the session's cells have it
  std::uint64_t bytes_down = 0;                  ///< to the client
  std::uint64_t packets_up = 0;                  ///< from the client
  std::uint64_t packets_down = 0;                ///< to the client
  std::uint32_t blob_version = 0;                ///< of `blob`, the plugin's own number
  std::string blob;                              ///< what the plugin keeps of it
  std::vector<std::string> leases;               ///< their resources
  std::uint64_t last_seen_unix = 0;              ///< seconds: its last open() or touch()
  std::uint64_t expires_unix = GH_EXPIRY_NEVER;  ///< seconds
  std::uint64_t state[2] = {0, 0};               ///< gh_session_cells.state
};

/// Thread-safe. What is asked is durable at once, and said so within the call, unless it is held back.
class FakeStore {
 public:
  /// One instance of a plugin: the tables that it is given. Its sessions without a key end with it.
  class Instance;

  /// @param unix_now  seconds, for leases
  explicit FakeStore(std::function<std::uint64_t()> unix_now);
  ~FakeStore();
  FakeStore(const FakeStore&) = delete;
  FakeStore& operator=(const FakeStore&) = delete;

  /// For one instance of that plugin, which the store outlives.
  [[nodiscard]] std::unique_ptr<Instance> instance(std::string plugin);

  /// From now on nothing becomes durable; or all that waited is durable, and what comes, too.
  void hold_durable(bool hold);
  /// What was asked so far is durable, and those who wait are told on this thread; with a failure they are told that,
  /// and it is not. It goes on being held back.
  void release_durable(gh_status status = GH_OK);
  /// Completions that wait.
  [[nodiscard]] std::size_t waiting() const;
  /// What new sessions with a key and new leases are answered from now on: GH_E_IO as under `no_new`, GH_E_LIMIT.
  void refuse_new(gh_status status);
  /// From now on, or no longer, another session may hold any resource that is free: GH_E_IN_DOUBT.
  void doubt_leases(bool doubt);
  /// The next `count` calls of find() that have a completion are GH_PENDING, and are completed at once or by
  /// release_durable() while it is held back.
  void delay_finds(unsigned count);
  /// Ends the sessions whose time has come, as the host does every few seconds. FakeHost::pass() calls it.
  void expire();
  /// The process dies and another begins: what was durable is there, sessions without a key are not, nobody waits any
  /// more, and nothing is held back. Stop the plugins before; hold_durable(true) even before that is a `kill -9`.
  void restart();

  /// Those that are there now, by their ids.
  [[nodiscard]] std::vector<FakeSession> sessions() const;
  /// What a plugin keeps under that name; none: nothing.
  [[nodiscard]] std::optional<std::string> value(const std::string& plugin, const std::string& name) const;
  /// Was it kept as ValueKind::secret?
  [[nodiscard]] bool is_secret(const std::string& plugin, const std::string& name) const;

 private:
  friend class Instance;
  struct Gate;
  using Counts = std::array<std::uint64_t, GH_SESSION_COUNTS>;
  struct Session {
    FakeSession facts;
    std::string index;  // what it is found by; empty without a key
    gh_session_cells* cells = nullptr;
    Counts* counts = nullptr;
    const Instance* owner = nullptr;  // that opened it last
    std::uint32_t lane = UINT32_MAX;
  };
  struct Lease {
    std::uint64_t session = 0;
    std::uint64_t expires_unix = 0;
  };
  struct Value {
    std::string bytes;
    std::uint32_t kind = GH_VALUE_PLAIN;
  };
  using Name = std::pair<std::string, std::string>;  // plugin, and resource or name
  struct State {
    std::map<std::uint64_t, Session> sessions;
    std::map<Name, Lease> leases;
    std::map<Name, Value> values;
  };
  struct Waiting {
    std::shared_ptr<Gate> who;
    gh_completion completion;
  };

  static void count(FakeSession& facts, const gh_session_cells& cells);
  [[nodiscard]] State as_on_disk() const;
  template <class Which>
  void erase_if(Which which);
  gh_session_cells* make_cells(const FakeSession& facts);

  const std::function<std::uint64_t()> unix_now_;
  mutable std::mutex mutex_;  // guards what follows
  State memory_;
  std::optional<State> disk_;  // while it is held back
  std::vector<Waiting> waiting_;
  gh_status refusal_ = GH_OK;
  bool doubts_leases_ = false;
  unsigned delayed_finds_ = 0;
  std::uint64_t last_id_ = 0;
  std::deque<gh_session_cells> cells_;  // never freed before the store
  std::deque<Counts> counts_;           // nor these
  std::set<Instance*> instances_;
};

/// The functions behind the tables are called as abi.h says.
class FakeStore::Instance {
 public:
  /// @param plugin  by whose name sessions and values are kept
  Instance(FakeStore& store, std::string plugin);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  [[nodiscard]] const gh_sessions* sessions() const noexcept { return &sessions_; }
  [[nodiscard]] const gh_values* values() const noexcept { return &values_; }
  /// Call it before the plugin's destroy(): no completion comes any more.
  void drop_completions() noexcept;

 private:
  friend class FakeStore;
  template <class Ask>
  static gh_status ask(void* context, const gh_completion* durable, Ask&& change) noexcept;
  static gh_status find(void* context, gh_lane* lane, gh_session& session, const gh_completion* later) noexcept;

  gh_status open(gh_lane* lane, gh_session& session);
  gh_status touch(const gh_session& session);
  gh_status adopt(gh_lane* lane, gh_session& session);
  gh_status counts(std::uint64_t id, std::uint64_t** out);
  /// What such a session is found by; empty: its key is not as gh.sessions/1 wants it.
  [[nodiscard]] std::optional<std::string> index_of(const gh_session& session) const;
  [[nodiscard]] Session* find_by(const std::string& index);
  void fill(gh_lane* lane, Session& record, gh_session& out);
  gh_status end(std::uint64_t id);
  gh_status lease(const gh_lease& lease);
  gh_status release(std::uint64_t session, gh_bytes resource);
  gh_status get(gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size);
  gh_status put(gh_bytes name, gh_bytes value, std::uint32_t kind);
  gh_status reserve(gh_bytes name, std::uint64_t count, std::uint64_t* first);
  void for_each(void (*visit)(void*, const gh_session*), void (*visit_lease)(void*, const gh_lease*), void* visitor);
  [[nodiscard]] Session* find(std::uint64_t id);

  FakeStore& store_;
  const std::string plugin_;
  const std::shared_ptr<Gate> gate_;
  gh_sessions sessions_;
  gh_values values_;
  // Guarded by the store's mutex.
  bool alive_ = true;  // its process is
  struct Lent {
    std::string blob, key, identity;
  };
  std::map<gh_lane*, Lent> lent_;  // by each lane's last call
};

}  // namespace gatehouse::testkit
