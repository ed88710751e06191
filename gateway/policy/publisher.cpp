#include "gateway/policy/publisher.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace gatehouse {
namespace {

using policy::Model;
using policy::Snapshot;

constexpr std::size_t kMostProblemsTold = 20;

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

PolicyPublisher::PolicyPublisher(std::filesystem::path database, PolicyEvents events)
    : path_(std::move(database)), events_(std::move(events)), stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!stop_) throw std::system_error(errno, std::system_category(), "eventfd");
  locked([this] {
    prepare();
    static_cast<void>(read_addresses());
    if (failure_.empty()) read_database();
    compile_and_publish();
  });
  sigset_t all, before;  // signals go to the control thread
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "gh-policy");
}

PolicyPublisher::~PolicyPublisher() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

PolicyStatus PolicyPublisher::status() const {
  const std::scoped_lock lock(published_);
  return status_;
}

std::shared_ptr<const Model> PolicyPublisher::model() const {
  const std::scoped_lock lock(published_);
  return model_;
}

policy::Surroundings PolicyPublisher::surroundings() const {
  const std::scoped_lock lock(published_);
  return surroundings_;
}

void PolicyPublisher::set_places(std::vector<policy::OwnListener> listeners, std::vector<Prefix> tunnel_prefixes) {
  locked([&] {
    {
      const std::scoped_lock lock(published_);
      if (surroundings_.listeners == listeners && surroundings_.tunnel_prefixes == tunnel_prefixes) return;
      surroundings_.listeners = std::move(listeners);
      surroundings_.tunnel_prefixes = std::move(tunnel_prefixes);
    }
    compile_and_publish();
  });
}

template <class Work>
void PolicyPublisher::locked(Work work) {
  std::uint64_t before = 0, after = 0;
  std::vector<std::pair<bool, std::string>> sayings;
  {
    const std::scoped_lock lock(work_);
    before = generation_;
    work();
    after = generation_;
    sayings.swap(sayings_);
  }
  if (events_.said)
    for (const auto& [bad, sentence] : sayings) events_.said(bad, sentence);
  if (before != 0 && after != before && events_.published) events_.published(after);
}

void PolicyPublisher::run() {
  std::array<pollfd, 2> fds{{{stop_.get(), POLLIN, 0}, {addresses_.fd(), POLLIN, 0}}};
  for (;;) {
    ::poll(fds.data(), fds.size(), static_cast<int>(kPoll.count()));
    if (fds[0].revents != 0) return;
    board_->calendar().refresh();
    locked([this] {
      if (addresses_.drain() && read_addresses()) changed_ = true;
      read_database();
      if (next_expiry_ && unix_now() >= *next_expiry_) changed_ = true;
      if (changed_) compile_and_publish();
    });
    board_->free_unused();
  }
}

/// Only at start: a file that goes later is not made anew, somebody may be restoring it.
void PolicyPublisher::prepare() {
  try {
    const db::PolicySchema done = db::prepare_policy(path_);
    if (done.created) say(false, path_.string() + " was missing: made it with the starter policy");
    if (!done.backup.empty())
      say(false, path_.string() + " brought up to schema version " + std::to_string(done.to) + "; the old one is " +
                     done.backup.string());
  } catch (const std::exception& error) {
    failure_ = error.what();
    say(true, failure_ + "; everything is denied until it can be read");
  }
}

void PolicyPublisher::read_database() {
  const std::string failure_before = failure_;
  try {
    if (!database_) {
      database_.emplace(path_);
    } else if (!database_->changed() && !reload_ && failure_.empty()) {
      return;
    }
    reload_ = true;
    auto model = std::make_shared<const Model>(database_->load());
    reload_ = false;
    failure_.clear();
    const std::scoped_lock lock(published_);
    if (!model_ || *model_ != *model) changed_ = true;
    model_ = std::move(model);
  } catch (const db::SqliteError& error) {
    if (error.is_busy()) return;  // a writer is at it: next time
    failure_ = error.what();
  } catch (const std::exception& error) {
    failure_ = error.what();
  }
  if (failure_ == failure_before) return;
  changed_ = true;
  if (failure_.empty())
    say(false, path_.string() + " can be read again");
  else
    say(true, failure_ + (model_ ? "; the last good policy stays in force" : "; everything is denied"));
}

void PolicyPublisher::compile_and_publish() {
  policy::Compiled compiled;
  const auto model = this->model();
  ++generation_;
  if (model)
    compiled = policy::compile(*model, surroundings(), generation_, unix_now());
  else
    compiled.snapshot = Snapshot::without_policy(generation_);
  next_expiry_ = compiled.next_expiry;
  changed_ = false;
  if (board_)
    board_->publish(compiled.snapshot);
  else
    board_ = std::make_shared<SnapshotBoard>(compiled.snapshot);

  const auto denials = static_cast<std::size_t>(std::count_if(compiled.problems.begin(), compiled.problems.end(),
                                                              [](const policy::Problem& p) { return p.is_deny; }));
  PolicyStatus status{generation_, model ? model->revision : 0, model != nullptr, reasons(denials),
                      std::move(compiled.problems)};
  const std::scoped_lock lock(published_);
  tell_problems(status_.problems, status.problems);
  status_ = std::move(status);
}

bool PolicyPublisher::read_addresses() {
  AddressSet now;
  try {
    now = read_own_addresses();
  } catch (const std::system_error& error) {
    say(true, std::string(error.what()) + "; what was known of them stays in force");
    return false;
  }
  const std::scoped_lock lock(published_);
  if (surroundings_.own_addresses == now.own && surroundings_.broadcast_addresses == now.broadcast) return false;
  surroundings_.own_addresses = std::move(now.own);
  surroundings_.broadcast_addresses = std::move(now.broadcast);
  return true;
}

void PolicyPublisher::tell_problems(const std::vector<policy::Problem>& before,
                                    const std::vector<policy::Problem>& now) {
  std::size_t told = 0;
  for (const policy::Problem& problem : now) {
    if (std::find(before.begin(), before.end(), problem) != before.end()) continue;
    if (++told > kMostProblemsTold) return say(true, "more rows cannot be read: see `gatehouse policy problems`");
    say(true, problem.table + " row " + std::to_string(problem.row) + " is not in force: " + problem.sentence);
  }
}

std::vector<std::string> PolicyPublisher::reasons(std::size_t unread_denials) const {
  std::vector<std::string> out;
  if (!failure_.empty())
    out.push_back("policy: " + failure_ +
                  (model_ ? "; the last good policy stays in force" : "; everything is denied until it can be read"));
  if (unread_denials != 0)
    out.push_back("policy: " + std::to_string(unread_denials) +
                  " deny or block rows are not in force: see `gatehouse policy problems`");
  return out;
}

}  // namespace gatehouse
