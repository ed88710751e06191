#include "gateway/policy/policy_source.hpp"

#include "db/file/paths.hpp"
#include "db/policy/policy_copy.hpp"
#include "gateway/base/utc_time.hpp"

#include <sys/stat.h>

#include <system_error>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::chrono::milliseconds kSlow{200};  // a reading that failed after so long is not made again at once

}  // namespace

PolicySource::PolicySource(std::filesystem::path database, LogSink log)
    : path_(std::move(database)), copy_path_(db::last_good_path(path_)), log_(std::move(log)) {}

/// The future waits for its copy.
PolicySource::~PolicySource() { give_up_copy_ = true; }

PolicySource::From PolicySource::from() const noexcept {
  return !model_ ? From::none : failure_.empty() ? From::database : From::last_good;
}

std::optional<std::int64_t> PolicySource::last_good() const {
  struct stat found {};
  if (::stat(copy_path_.c_str(), &found) != 0) return {};
  return found.st_mtim.tv_sec;
}

void PolicySource::open() {
  try {
    prepare();
    read();
  } catch (const std::exception& error) {
    read_copy();
    fail(reason(error));
  }
}

/// The error, or plainly that the file is gone, which errors put in many ways.
std::string PolicySource::reason(const std::exception& error) const {
  std::error_code ignored;
  if (std::filesystem::exists(path_, ignored) || ignored) return error.what();
  return path_.string() + " is gone: put it back" +
         (std::filesystem::exists(copy_path_, ignored) ? ", or copy " + copy_path_.string() + " to its place" : "");
}

/// Only at start: a file that goes later is not made anew, somebody may be restoring it.
void PolicySource::prepare() {
  std::error_code ignored;
  if (!std::filesystem::exists(path_, ignored) && std::filesystem::exists(copy_path_, ignored))
    throw std::runtime_error("no such file");  // see reason()
  const db::PolicySchema done = db::prepare_policy(path_);
  if (done.created) log_(LogMessage::info(path_.string() + " was missing: made it with the starter policy"));
  if (!done.backup.empty())
    log_(LogMessage::info(path_.string() + " brought up to schema version " + std::to_string(done.to) +
                          "; the old one is " + done.backup.string()));
}

void PolicySource::read_copy() {
  std::error_code ignored;
  if (!std::filesystem::exists(copy_path_, ignored)) return;
  try {
    db::prepare_policy(copy_path_);  // one that an older Gatehouse has made
    model_ = std::make_shared<const policy::Model>(db::PolicyDatabase(copy_path_).load());
    in_force_ = "the last good policy, of " + rfc3339(last_good().value_or(0)) + ", is in force";
  } catch (const std::exception& error) {
    log_(LogMessage::warning(std::string(error.what()) + ": the copy of the last good policy cannot be read either"));
  }
}

/// @return has anything changed that others see?
bool PolicySource::poll() {
  if (is_costly()) return std::exchange(changed_, false);
  const Clock::time_point begin = Clock::now();
  try {
    read();
  } catch (const db::SqliteError& error) {
    unread_ = true;
    if (!error.is_busy())
      fail(reason(error));
    else if (!is_patient())
      fail(path_.string() + " is locked by another program, and edits wait for it: end its transaction");
  } catch (const std::exception& error) {
    unread_ = true;
    fail(reason(error));
    note_cost(begin);
  }
  keep_copy();
  return std::exchange(changed_, false);
}

/// Would reading take long once more, and fail once more?
bool PolicySource::is_costly() {
  if (!costly_) return false;
  const bool is_same = FileStamp::of(path_) == costly_->file && FileStamp::of(db::log_of(path_)) == costly_->log;
  if (is_same && Clock::now() < costly_->again) return true;
  costly_.reset();
  return false;
}

void PolicySource::note_cost(Clock::time_point begin) {
  const Clock::time_point now = Clock::now();
  if (now - begin < kSlow) return;
  costly_ = {FileStamp::of(path_), FileStamp::of(db::log_of(path_)), now + (now - begin) * kRest};
}

void PolicySource::read() {
  if (!database_) {
    database_.emplace(path_, &stopping_);
  } else if (!database_->changed() && !unread_ && failure_.empty()) {
    busy_since_.reset();
    return;
  }
  unread_ = true;
  take(database_->load());
  unread_ = false;
  busy_since_.reset();
  if (failure_.empty()) return;
  failure_.clear();
  changed_ = true;
  log_(LogMessage::info(path_.string() + " can be read again, and is in force"));
}

void PolicySource::take(policy::Model model) {
  if (model_ && *model_ == model && from() == From::database) return;
  if (model_ && model.revision < model_->revision)
    log_(LogMessage::warning(path_.string() + " went back from revision " + std::to_string(model_->revision) + " to " +
                             std::to_string(model.revision) +
                             ": it was replaced by an older copy, or edits were lost"));
  edited_at_ = Clock::now();
  if (!uncopied_since_) uncopied_since_ = edited_at_;
  in_force_ = "the last good policy stays in force";
  changed_ = changed_ || !model_ || *model_ != model;
  model_ = std::make_shared<const policy::Model>(std::move(model));
}

void PolicySource::fail(const std::string& why) {
  if (database_) database_->give_up();
  const std::string sentence = why + "; " + (model_ ? in_force_ : "everything is denied until it can be read");
  if (failure_ == sentence) return;
  failure_ = sentence;
  changed_ = true;
  log_(LogMessage::warning(failure_));
}

/// A writer that lets nobody read has some time before it is a failure.
bool PolicySource::is_patient() {
  const auto now = Clock::now();
  if (!busy_since_) busy_since_ = now;
  return now - *busy_since_ < kPatience;
}

void PolicySource::keep_copy() {
  const auto now = Clock::now();
  if (copying_.valid()) {
    if (copying_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) end_copying();
    return;
  }
  if (!uncopied_since_ || from() != From::database || unread_) return;
  if (copy_failed_ ? now - tried_at_ < kLongest : now - edited_at_ < kQuiet && now - *uncopied_since_ < kLongest)
    return;
  start_copying();
}

void PolicySource::start_copying() {
  tried_at_ = Clock::now();
  uncopied_since_.reset();
  try {
    copying_ = std::async(std::launch::async, [from = path_, to = copy_path_, stop = &give_up_copy_] {
      return db::copy_policy(from, to, db::former_good_path(from), stop);
    });
  } catch (const std::system_error& error) {  // no thread is to be had
    report_copy_failed(error.what());
  }
}

void PolicySource::end_copying() {
  try {
    report_copied(copying_.get());
  } catch (const std::exception& error) {
    report_copy_failed(error.what());
  }
}

void PolicySource::report_copied(bool set_aside) {
  copy_failed_ = false;
  changed_ = true;  // last_good() has
  if (set_aside)
    log_(LogMessage::warning(
        path_.string() + " does not continue the policy that was in force before; the copy of that one is kept as " +
        db::former_good_path(path_).string()));
}

void PolicySource::report_copy_failed(const std::string& why) {
  if (!uncopied_since_) uncopied_since_ = tried_at_;
  if (!std::exchange(copy_failed_, true))
    log_(LogMessage::warning("no copy of the policy could be kept: " + why + "; tried again every 30 s"));
}

void PolicySource::close() {
  const Clock::time_point end = Clock::now() + kLastCopy;
  const auto wait = [&] {
    if (!copying_.valid()) return;
    if (copying_.wait_until(end) != std::future_status::ready) give_up_copy_ = true;
    end_copying();
  };
  wait();
  if (!uncopied_since_ || from() != From::database) return;
  start_copying();
  wait();
}

}  // namespace gatehouse
