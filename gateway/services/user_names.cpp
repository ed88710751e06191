#include "gateway/services/user_names.hpp"

#include "gateway/base/start_thread.hpp"

#include <pwd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <unordered_map>
#include <vector>

namespace gatehouse {

std::optional<std::string> system_user_name(uid_t uid) {
  std::array<char, 16384> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (const int failure = getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found); failure != 0)
    throw std::runtime_error("the system cannot name user " + std::to_string(uid));
  if (found == nullptr) return {};
  return found->pw_name;
}

struct UserNames::State {
  struct Known {
    std::optional<std::string> name;
    SteadyTime since;
  };
  struct Waiting {
    uid_t uid;
    SteadyTime until;
    std::shared_ptr<Requester> who;
    gh_completion later;
  };

  explicit State(Look how) : look(std::move(how)) {}

  /// Takes out who waits for `uid`, or with none given for whatever came before `now`.
  std::vector<Waiting> take(std::optional<uid_t> uid, SteadyTime now) {
    std::vector<Waiting> out;
    std::erase_if(waiting, [&](Waiting& one) {
      const bool is_due = uid ? one.uid == *uid : one.until <= now;
      if (is_due) out.push_back(std::move(one));
      return is_due;
    });
    return out;
  }
  static void complete(const std::vector<Waiting>& all, gh_status status) {
    for (const Waiting& one : all) one.who->complete(one.later, status);
  }
  void ask_for(uid_t uid) {
    if (std::find(queue.begin(), queue.end(), uid) != queue.end() || asking == uid) return;
    queue.push_back(uid);
    changed.notify_one();
  }
  void remember(uid_t uid, std::optional<std::string> name, SteadyTime now) {
    if (known.size() >= kMostKnown && !known.contains(uid)) {
      const auto older = [](const auto& a, const auto& b) { return a.second.since < b.second.since; };
      known.erase(std::min_element(known.begin(), known.end(), older));
    }
    known[uid] = {std::move(name), now};
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stopping || !queue.empty(); });
      if (stopping) return;
      const uid_t uid = queue.front();
      queue.pop_front();
      asking = uid;
      lock.unlock();
      std::optional<std::string> name;
      gh_status status = GH_OK;
      try {
        name = look(uid);
      } catch (const std::exception&) {
        status = GH_E_IO;
      }
      lock.lock();
      asking.reset();
      const SteadyTime now = steady_now();
      try {
        if (status == GH_OK) remember(uid, std::move(name), now);
        const auto due = take(uid, now);
        lock.unlock();
        complete(due, status);
        lock.lock();
      } catch (const std::bad_alloc&) {  // expire() tells those who wait
      }
    }
  }

  const Look look;
  std::mutex mutex;  // guards what follows; not held while the system is asked, nor during a completion
  std::condition_variable changed;
  std::unordered_map<uid_t, Known> known;
  std::vector<Waiting> waiting;
  std::deque<uid_t> queue;
  std::optional<uid_t> asking;
  bool stopping = false;
};

UserNames::UserNames(Look look) : state_(std::make_shared<State>(std::move(look))) {
  start_thread("gh-users", [state = state_] { state->run(); }).detach();
}

UserNames::~UserNames() {
  const std::scoped_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_one();
}

UserNames::Answer UserNames::find(uid_t uid, const std::shared_ptr<Requester>& who, const gh_completion* later,
                                  SteadyTime now) {
  const std::scoped_lock lock(state_->mutex);
  const auto known = state_->known.find(uid);
  const bool has_place = state_->queue.size() < kMostWaiting;
  if (known != state_->known.end()) {
    if (now - known->second.since >= kFresh && has_place) state_->ask_for(uid);
    return {GH_OK, known->second.name};
  }
  if (!has_place || (later != nullptr && state_->waiting.size() >= kMostWaiting)) return {GH_E_LIMIT, {}};
  state_->ask_for(uid);
  if (later != nullptr)
    state_->waiting.push_back({uid, now + kMostWait, who, *later});  // last: nothing can fail after it
  return {GH_PENDING, {}};
}

void UserNames::expire(SteadyTime now) {
  std::unique_lock lock(state_->mutex);
  const auto due = state_->take({}, now);
  lock.unlock();
  State::complete(due, GH_E_IO);
}

}  // namespace gatehouse
