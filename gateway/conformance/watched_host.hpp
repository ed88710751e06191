// The host that a plugin under test sees: every interface of a FakeHost behind tables of its own, which know what each
// function may be called by and which clients there are, and can refuse one of them once.
#pragma once

#include <gatehouse/testkit/host_interposer.hpp>

#include "gateway/conformance/notes.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse::conformance {

/// A thread tag of abi.h.
enum class CallTag { any, lane, control };

/// One function of a host's interface.
struct HostFunction {
  std::string_view name;  ///< "gh.policy/1.check"
  CallTag tag = CallTag::any;
  /// What it returns when it fails; 0: it cannot. A function that returns a pointer then returns null.
  gh_status failure = 0;
};

[[nodiscard]] std::span<const HostFunction> host_functions() noexcept;

/// Thread-safe. Made on the thread that is to call [control] functions. It and its tables must outlive every instance.
class WatchedHost final : public testkit::HostInterposer {
 public:
  explicit WatchedHost(Notes& notes);
  ~WatchedHost() override;

  /// get() says NULL for that id from now on.
  void withhold(std::string id) { withheld_ = std::move(id); }
  /// The next call of that function fails, and no other.
  void fail_once(std::string function) { failing_ = std::move(function); }
  /// Tables that are made from now on have grown, as those of a later minor.
  void pretend_later_minor() noexcept { is_later_ = true; }
  [[nodiscard]] bool is_later() const noexcept { return is_later_; }
  /// Names of the functions that were called so far.
  [[nodiscard]] std::set<std::string> called() const;

  const void* get(const char* id, const void* offered) override;
  void lane_begins(const gh_lane& lane) override;

  /// One interface as the plugin sees it.
  struct FaceBase {
    virtual ~FaceBase() = default;
    const void* table = nullptr;
  };
  /// By the tables' functions. @param lane  that they were given; null where they take none
  /// @return whether the call is to fail
  bool enter(const HostFunction& function, const gh_lane* lane);
  /// A handle of ours for a client that the host has opened: no two are alike, so that none is open again once it was
  /// closed. Null for null.
  [[nodiscard]] gh_client* opened(gh_client* real, const gh_lane* lane);
  /// The host's client, and with `closes` the handle is none from then on; null, and it is a finding: that lane has no
  /// such client open.
  [[nodiscard]] gh_client* find_client(const HostFunction& function, gh_client* client, const gh_lane* lane,
                                       bool closes);

 private:
  [[nodiscard]] std::string why_wrong(const HostFunction& function, const gh_lane* lane) const;

  Notes& notes_;
  const std::thread::id control_ = std::this_thread::get_id();
  std::string withheld_, failing_;
  bool is_later_ = false;
  mutable std::mutex mutex_;  // guards what follows
  bool has_failed_ = false;
  std::map<std::thread::id, const gh_lane*> lanes_;
  std::set<std::string> called_, wrong_;
  struct Client {
    gh_client* real;
    const gh_lane* lane;
  };
  std::map<std::uintptr_t, Client> clients_;  // that are open, by the handles that the plugin has
  std::uintptr_t last_client_ = 0;
  std::map<std::pair<std::string_view, const void*>, std::unique_ptr<FaceBase>> faces_;  // by id, and the table behind
};

}  // namespace gatehouse::conformance
