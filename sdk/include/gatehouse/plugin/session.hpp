// A client's lasting relation to the plugin, kept by the host: who it is, what it has carried, what it holds. For the
// lane that serves the client; not thread-safe.
#pragma once

#include <gatehouse/plugin/lane_context.hpp>
#include <gatehouse/plugin/session_handle.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace gatehouse {

/// What is known about a client when its session is opened. The views need to live during the call only.
struct SessionFacts {
  std::string_view key{};          ///< what the client will resume it by, 255 bytes at most; empty: it never will
  std::string_view identity{};     ///< "token:bob", or empty: then the key is a secret of 32 random characters or more
  Endpoint source{};               ///< where the client is now: clients roam
  std::uint32_t blob_version = 0;  ///< of `blob`, the plugin's own number
  Bytes blob{};                    ///< what to keep for a new session, 4096 bytes at most
  Expiry expires{};                ///< when the host ends it, unless it is opened again before
};

/// What is known about a session that nobody was displaced for.
struct FoundSession {
  std::uint64_t id = 0;                             ///< the same after a restart
  std::optional<std::uint32_t> lane;                ///< that holds it, of this instance
  std::chrono::sys_seconds last_seen{};             ///< when it was opened or touched last
  std::optional<std::chrono::sys_seconds> expires;  ///< none: never
  std::uint32_t blob_version = 0;                   ///< of `blob`, the plugin's own number
  std::vector<std::byte> blob;                      ///< what was kept of it
};

/// Opens or resumes a session. One without a key ends with this object; one with a key stays, to be resumed, until
/// end(). Completions run on the lane, and with the object they go unrun: so they may use what owns it.
class Session {
 public:
  /// Errc::invalid (a bound of SessionFacts), Errc::limit (the host remembers no more of them), Errc::io (nothing new
  /// while the disk fails). Answer a client with a key in `durable`, not before.
  [[nodiscard]] static Result<Session> open(const LaneContext& context, const SessionFacts& facts,
                                            Completion durable = {});
  /// Is there one of that key and identity? Displaces nobody, so that policy may be asked first. Errc::not_found;
  /// Errc::pending: ask again in `later`, which runs within 5 s, with Errc::io when open() has to go by what this
  /// gateway knows. Without `later` that is the answer at once. `scope` must outlive `later`, or drop it.
  [[nodiscard]] static Result<FoundSession> find(const LaneContext& context, const SessionFacts& facts,
                                                 CompletionScope& scope, Completion later = {});
  /// Takes over a session that for_each_kept() told of, before its client comes. Errc::not_found; Errc::wrong_state: a
  /// lane has it already. Ends with this object if it has no key.
  [[nodiscard]] static Result<Session> adopt(const LaneContext& context, std::uint64_t id);
  Session(Session&& other) noexcept;
  Session& operator=(Session&& other) noexcept;
  ~Session();

  /// What a lane that has very many keeps of one that has a key, in place of this object.
  [[nodiscard]] const SessionHandle& handle() const noexcept { return handle_; }
  /// Never 0, never used twice, the same after a restart. For ClientFacts::session.
  [[nodiscard]] std::uint64_t id() const noexcept { return handle_.id(); }
  /// It was there: with its leases, its counts and its blob.
  [[nodiscard]] bool resumed() const noexcept { return resumed_; }
  [[nodiscard]] std::uint32_t blob_version() const noexcept { return blob_version_; }
  /// What was kept of a resumed one; moves it out.
  [[nodiscard]] std::vector<std::byte> take_blob() noexcept {
    const auto out = std::exchange(blob_, nullptr);
    return out ? std::move(*out) : std::vector<std::byte>();
  }

  /// False: the client has come again, on this lane or another one, or the session was ended. Then close the client's
  /// former stream; what is asked for it fails with Errc::wrong_state. One relaxed load: look once a batch, and in a
  /// timer where a client may be silent.
  [[nodiscard]] bool is_mine() const noexcept { return handle_.is_mine(); }

  /// Datagrams that went through, and their bytes without the frames around them. Up = from the client. Relaxed
  /// additions to the host's cells: no call, for every packet.
  void count_up(std::uint64_t packets, std::uint64_t bytes) noexcept { handle_.count_up(packets, bytes); }
  /// The same towards the client.
  void count_down(std::uint64_t packets, std::uint64_t bytes) noexcept { handle_.count_down(packets, bytes); }

  /// Two words about what the session is doing, for people: the plugin's gh.sessions.describe/1 says what they mean.
  void set_state(std::uint64_t first, std::uint64_t second) noexcept { handle_.set_state(first, second); }

  /// What the plugin counts of its sessions beside the above, for people, under the names of make_describer(): `which`
  /// is below GH_SESSION_COUNTS. Asked for once, by want_counts(), which locks; before, and where it fails, nothing is
  /// counted. They stay while the process and the session live, also when that is opened again; 0 after a start.
  /// Errc::not_found: it is over.
  Error want_counts() noexcept;
  /// One relaxed store.
  void set_count(std::size_t which, std::uint64_t value) noexcept {
    if (counts_ != nullptr) std::atomic_ref(counts_[which]).store(value, std::memory_order_relaxed);
  }
  /// 0 where nothing is counted.
  [[nodiscard]] std::uint64_t count(std::size_t which) const noexcept {
    return counts_ == nullptr ? 0 : std::atomic_ref(counts_[which]).load(std::memory_order_relaxed);
  }

  /// The client is still there, and where.
  Error touch(const Endpoint& source, Expiry expires = {});
  /// Replaces the blob. Errc::invalid: it is longer than 4096 bytes.
  Error keep(std::uint32_t version, Bytes blob, Completion durable = {});

  /// Takes an exclusive resource ("10.0.0.5", "vni:4711") for that time, or renews it; kWithSession: until release() or
  /// the session's end. Errc::exists: another session holds it. Errc::in_doubt: another one may, for the store has lost
  /// commits: tell the client to come again, other resources will not do better. Errc::limit: this one holds 4096
  /// already. Errc::io, here or in `durable`: no new ones while the disk fails; release() what `durable` refused, which
  /// is never a renewal. Give it to the client in `durable`, not before; it says the same of what was kept for this
  /// session before the call.
  [[nodiscard]] Error lease(std::string_view resource, std::chrono::seconds time, Completion durable = {});
  /// Errc::not_found: this session does not hold it.
  Error release(std::string_view resource);
  static constexpr std::chrono::seconds kWithSession{0};  ///< of a lease: as long as its session

  /// Ends it for good, with its leases. Not one that is in other hands.
  void end() noexcept;

 private:
  Session(const LaneContext& context, const gh_session& opened, bool ends_with_this, CompletionScope scope);

  const Host* host_;
  gh_lane* lane_;
  SessionHandle handle_;
  std::uint64_t* counts_ = nullptr;
  std::uint32_t blob_version_;
  bool resumed_;
  bool ends_with_this_;
  Endpoint source_;
  std::unique_ptr<std::vector<std::byte>> blob_;
  CompletionScope scope_;
};

}  // namespace gatehouse
