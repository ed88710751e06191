#include "gateway/policy/publisher.hpp"

#include "gateway/base/hash_seed.hpp"
#include "gateway/base/start_thread.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/policy/list_files.hpp"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <tuple>
#include <utility>

namespace gatehouse {
namespace {

using policy::Model;
using policy::Snapshot;

constexpr std::size_t kMostProblemsLogged = 20;

PublisherParts with_defaults(PublisherParts parts) {
  if (!parts.open_list) parts.open_list = open_list_file;
  if (!parts.unix_now) parts.unix_now = unix_now;
  return parts;
}

std::string_view to_text(PolicySource::From from) noexcept {
  switch (from) {
    case PolicySource::From::none: return "none";
    case PolicySource::From::database: return "policy.db";
    case PolicySource::From::last_good: return "last good";
  }
  return "";
}

}  // namespace

PolicyPublisher::PolicyPublisher(std::filesystem::path database, PolicyEvents events, PublisherParts parts)
    : events_(std::move(events)),
      parts_(with_defaults(std::move(parts))),
      source_(database, [this](const LogMessage& message) { messages_.push_back(message); }),
      shelf_(database.parent_path() / "lists", draw_hash_seed(), parts_.open_list),
      trust_(unix_now()),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!stop_) throw std::system_error(errno, std::system_category(), "eventfd");
  locked([this] {
    source_.open();
    take_model();
    static_cast<void>(read_addresses());
    shelf_.wait();  // a list is policy: to serve without it would be a hole
    compile_and_publish();
  });
  thread_ = start_thread("gh-policy", [this] { run(); });
}

PolicyPublisher::~PolicyPublisher() {
  source_.stop();
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
  locked([this] { source_.close(); });
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

void PolicyPublisher::set_listeners(std::vector<policy::OwnListener> listeners) {
  locked([&] {
    {
      const std::scoped_lock lock(published_);
      if (surroundings_.listeners == listeners) return;
      surroundings_.listeners = std::move(listeners);
    }
    compile_and_publish();
  });
}

void PolicyPublisher::set_nat64_prefixes(std::vector<Prefix> prefixes) {
  if (surroundings().nat64 == prefixes) return;
  locked([&] {
    {
      const std::scoped_lock lock(published_);
      surroundings_.nat64 = std::move(prefixes);
    }
    compile_and_publish();
  });
}

template <class Work>
void PolicyPublisher::locked(Work work) {
  std::uint64_t before = 0, after = 0;
  std::vector<LogMessage> messages;
  std::vector<std::string> details;
  {
    const std::scoped_lock lock(work_);
    before = generation_;
    work();
    after = generation_;
    messages.swap(messages_);
    details.swap(details_);
  }
  if (events_.log)
    for (const LogMessage& message : messages) events_.log(message);
  if (events_.detailed)
    for (const std::string& sentence : details) events_.detailed(sentence);
  if (before != 0 && after != before && events_.published) events_.published(after);
}

void PolicyPublisher::run() {
  std::array<pollfd, 2> fds{{{stop_.get(), POLLIN, 0}, {addresses_.fd(), POLLIN, 0}}};
  for (;;) {
    ::poll(fds.data(), fds.size(), static_cast<int>(kPoll.count()));
    if (fds[0].revents != 0) return;
    const std::int64_t time = trust_.believed(unix_now(), db::clock_is_synchronised());
    board_->calendar().refresh(std::chrono::system_clock::time_point(std::chrono::seconds(time)));
    locked([this] { try_to_look(); });
    board_->reserve_again();
    board_->free_unused();
  }
}

/// Whatever fails (memory, a thread, the disk), what is in force stays, and the next poll tries again.
void PolicyPublisher::try_to_look() noexcept try {
  std::string trouble;
  try {
    look();
  } catch (const std::exception& error) {
    trouble = std::string("edits cannot be put in force: ") + error.what() + "; what is in force stays";
  }
  if (trouble == trouble_) return;
  messages_.push_back(trouble.empty() ? LogMessage::info("edits are put in force again")
                                      : LogMessage::warning(trouble));
  trouble_ = trouble;
  update_status();
} catch (const std::exception&) {  // not even memory for a sentence
}

void PolicyPublisher::look() {
  if (addresses_.drain(known_addresses_)) unread_ = true;
  if (unread_ && read_addresses()) changed_ = true;
  if (read_claims()) changed_ = true;
  bool is_news = source_.poll();
  take_model();
  read_notices();
  if (shelf_.changed()) changed_ = true;
  const std::int64_t now = parts_.unix_now();
  if (next_expiry_ && now >= *next_expiry_) changed_ = true;
  if (now < compiled_at_) changed_ = true;  // the clock was set back: rows that had expired count again
  for (std::string& name : shelf_.take_corrected()) details_.push_back("corrected: " + std::move(name));
  for (LogMessage& message : shelf_.take_messages()) {
    messages_.push_back(std::move(message));
    is_news = true;
  }
  if (changed_)
    compile_and_publish();
  else if (is_news)
    update_status();
}

void PolicyPublisher::take_model() {
  const auto& model = source_.model();
  if (this->model() == model) return;
  shelf_.use_rows(model->domain_lists);
  const PolicyRows rows = rows_of(*model);
  records_->keep_only(rows);
  monitors_.keep_only(rows);
  changed_ = true;
  const std::scoped_lock lock(published_);
  model_ = model;
}

void PolicyPublisher::read_notices() {
  records_->drain([this](const Notice& notice) {
    if (notice.monitor) monitors_.add(notice);
    if (notice.row.table == policy::Table::domain_lists) shelf_.check(notice.row.row, notice.name());
  });
  const auto now = MonitorLog::Clock::now();
  for (std::string& line : strange_clients_.lines(now, records_->strange_clients()))
    messages_.push_back(LogMessage::warning(std::move(line)));
  if (!monitors_.due(now)) return;
  monitors_.write_lines(now, records_->monitor_counts(), [this](std::string line, std::string example) {
    messages_.push_back(LogMessage::info(std::move(line)));
    details_.push_back(std::move(example));
  });
}

void PolicyPublisher::compile_and_publish() {
  policy::Compiled compiled;
  const auto model = this->model();
  held_back_ = model && board_ && !board_->current()->has_policy() && shelf_.lacks_names();
  const policy::Lists lists = shelf_.lists();
  compiled_at_ = parts_.unix_now();
  if (model && !held_back_)
    compiled = policy::compile(*model, surroundings(), generation_ + 1, compiled_at_, lists);
  else
    compiled.snapshot = Snapshot::without_policy(generation_ + 1);
  if (board_)
    board_->publish(compiled.snapshot);
  else
    board_ = std::make_shared<SnapshotBoard>(compiled.snapshot);
  ++generation_;
  changed_ = false;  // not before: what failed is tried again
  next_expiry_ = compiled.next_expiry;
  report_problems(problems_, compiled.problems);
  problems_ = std::move(compiled.problems);
  update_status();
}

void PolicyPublisher::update_status() {
  const auto model = this->model();
  PolicyStatus status;
  status.generation = generation_;
  status.revision = model ? model->revision : 0;
  status.has_policy = model && !held_back_;
  status.source = to_text(source_.from());
  status.last_good = source_.last_good();
  status.reasons = reasons();
  for (const std::string& sentence : shelf_.compiling()) status.notes.push_back("policy: " + sentence);
  status.problems = problems_;
  status.lists = shelf_.status();
  status.list_mismatches = shelf_.mismatches();
  const std::scoped_lock lock(published_);
  status_ = std::move(status);
}

bool PolicyPublisher::read_claims() {
  std::vector<policy::ClaimedPrefix> now = claims_->all();
  const std::scoped_lock lock(published_);
  if (surroundings_.claims == now) return false;
  surroundings_.claims = std::move(now);
  return true;
}

bool PolicyPublisher::read_addresses() {
  OwnAddresses now;
  try {
    now = read_own_addresses();
  } catch (const std::system_error& error) {
    if (!std::exchange(unreadable_, true))
      messages_.push_back(LogMessage::warning(std::string(error.what()) +
                                              "; what was known of them stays in force, and it is tried again"));
    return false;
  }
  unread_ = unreadable_ = false;
  if (known_addresses_ == now) return false;
  known_addresses_ = std::move(now);
  const std::scoped_lock lock(published_);
  surroundings_.own = known_addresses_.own;
  surroundings_.broadcast = known_addresses_.broadcast;
  return true;
}

void PolicyPublisher::report_problems(const std::vector<policy::Problem>& before,
                                      const std::vector<policy::Problem>& now) {
  const auto by_row = [](const policy::Problem& a, const policy::Problem& b) {  // as compile() sorts them
    return std::tie(a.table, a.row) < std::tie(b.table, b.row);
  };
  std::size_t reported = 0;
  for (const policy::Problem& problem : now) {
    const auto [first, end] = std::equal_range(before.begin(), before.end(), problem, by_row);
    if (std::find(first, end, problem) != end) continue;
    if (++reported > kMostProblemsLogged)
      return messages_.push_back(LogMessage::warning("more rows cannot be read: see `gatehouse policy problems`"));
    messages_.push_back(LogMessage::warning(problem.table + " row " + std::to_string(problem.row) +
                                            (problem.in_force ? ": " : " is not in force: ") + problem.sentence));
  }
}

std::vector<std::string> PolicyPublisher::reasons() const {
  std::vector<std::string> out;
  if (!source_.failure().empty()) out.push_back("policy: " + source_.failure());
  if (!trouble_.empty()) out.push_back("policy: " + trouble_);
  if (held_back_) out.emplace_back("policy: everything is denied until the domain lists are compiled");
  const auto denials =
      std::count_if(problems_.begin(), problems_.end(), [](const policy::Problem& problem) { return problem.is_deny; });
  if (denials != 0)
    out.push_back("policy: " + std::to_string(denials) +
                  " deny or block rows are not in force: see `gatehouse policy problems`");
  for (const std::string& sentence : shelf_.failures()) out.push_back("policy: " + sentence);
  return out;
}

}  // namespace gatehouse
