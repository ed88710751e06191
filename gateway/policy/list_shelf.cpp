#include "gateway/policy/list_shelf.hpp"

#include "gateway/base/start_thread.hpp"

#include <gatehouse/base/file_stamp.hpp>
#include <gatehouse/base/settled_stamp.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace gatehouse {
namespace {

using policy::DomainList;
using policy::ListEntry;
using policy::NameSet;

constexpr int kNice = 10;  // lanes come first

struct Abandoned {};

}  // namespace

struct ListShelf::File {
  bool queued = true;
  std::shared_ptr<const NameSet> names;
  std::shared_ptr<const OpenedList> opened;  // with names
  std::shared_ptr<const policy::Mismatches> mismatches;
  std::string failure;  // then `tried` is what the file was like
  FileStamp tried;
  [[nodiscard]] bool pending() const noexcept { return !names && failure.empty(); }
};

ListShelf::ListShelf(std::filesystem::path folder, policy::HashSeed seed, ListOpener open)
    : folder_(std::move(folder)), seed_(seed), open_(std::move(open)) {
  thread_ = start_thread("gh-lists", [this] { run(); });
}

ListShelf::~ListShelf() {
  abandon();
  thread_.join();
}

void ListShelf::abandon() {
  const std::scoped_lock lock(mutex_);
  abandoned_ = true;
  work_.notify_all();
  done_.notify_all();
}

void ListShelf::use_rows(const std::vector<DomainList>& rows) {
  const std::scoped_lock lock(mutex_);
  rows_.clear();
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(rows_),
               [](const DomainList& row) { return !row.file.empty(); });
  for (const DomainList& row : rows_)
    if (files_.try_emplace(row.file).second) files_[row.file] = std::make_shared<File>();
  std::erase_if(in_force_, [this](const auto& entry) {
    return std::none_of(rows_.begin(), rows_.end(), [&](const DomainList& row) { return row.name == entry.first; });
  });
  changed_ = true;
  work_.notify_all();
}

void ListShelf::wait() {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return abandoned_ || !lacks_names_locked(); });
}

bool ListShelf::lacks_names() const {
  const std::scoped_lock lock(mutex_);
  return lacks_names_locked();
}

bool ListShelf::lacks_names_locked() const {
  return std::any_of(rows_.begin(), rows_.end(), [this](const DomainList& row) {
    return row.life.enabled && files_.at(row.file)->pending() && !former_of(row);
  });
}

bool ListShelf::changed() {
  const std::scoped_lock lock(mutex_);
  for (auto& [name, file] : files_) {
    if (file->failure.empty() || file->queued || FileStamp::of(folder_ / name) == file->tried) continue;
    file->queued = true;
    work_.notify_all();
  }
  return changed_;
}

/// The file that the row had before its own, where that one is still known.
const ListShelf::File* ListShelf::former_of(const DomainList& row) const {
  const auto former = in_force_.find(row.name);
  if (former == in_force_.end()) return nullptr;
  const auto found = files_.find(former->second);
  return found == files_.end() ? nullptr : found->second.get();
}

policy::Lists ListShelf::lists() {
  policy::Lists out;
  out.seed = seed_;
  const std::scoped_lock lock(mutex_);
  changed_ = false;
  for (const DomainList& row : rows_) {
    const File& file = *files_.at(row.file);
    if (file.names) in_force_[row.name] = row.file;
    const File* const shown = file.names ? &file : former_of(row);
    if (shown)  // beats what a row without a former file has put there
      out.by_file[row.file] = {shown->names, "", shown->mismatches};
    else if (file.pending())  // no problem of the row: it has no names yet
      out.by_file.try_emplace(row.file, policy::ListFileState{NameSet::build({}), "", nullptr});
    else
      out.by_file.try_emplace(row.file, policy::ListFileState{nullptr, file.failure, nullptr});
  }
  const auto forgotten = std::erase_if(files_, [this](const auto& entry) {
    return std::none_of(rows_.begin(), rows_.end(), [&](const DomainList& row) { return row.file == entry.first; }) &&
           std::none_of(in_force_.begin(), in_force_.end(), [&](const auto& row) { return row.second == entry.first; });
  });
  if (forgotten != 0) checked_.clear();  // its mismatches went with it, and it may come again
  return out;
}

std::vector<ListStatus> ListShelf::status() const {
  std::vector<ListStatus> out;
  const std::scoped_lock lock(mutex_);
  for (const DomainList& row : rows_) {
    const File& file = *files_.at(row.file);
    const File* const shown = file.names ? &file : former_of(row);
    out.push_back({row.id, row.name, row.file,
                   file.names       ? "in force"
                   : file.pending() ? "compiling"
                                    : "failed",
                   shown ? shown->names->size() : 0, shown ? shown->names->bytes() : 0});
  }
  return out;
}

std::vector<std::string> ListShelf::failures() const {
  std::vector<std::string> out;
  const std::scoped_lock lock(mutex_);
  for (const DomainList& row : rows_) {
    const File& file = *files_.at(row.file);
    if (!file.names && !file.pending() && former_of(row))
      out.push_back("the list " + row.name + ": " + file.failure + "; its former names stay in force");
  }
  return out;
}

std::vector<std::string> ListShelf::compiling() const {
  std::vector<std::string> out;
  const std::scoped_lock lock(mutex_);
  for (const DomainList& row : rows_)
    if (files_.at(row.file)->pending())
      out.push_back("the list " + row.name + " is being compiled; " +
                    (former_of(row) ? "its former names stay in force meanwhile" : "it blocks nothing yet"));
  return out;
}

std::vector<LogMessage> ListShelf::take_messages() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(messages_, {});
}

std::vector<std::string> ListShelf::take_corrected() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(corrected_, {});
}

void ListShelf::check(std::int64_t row, std::string_view name) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::find_if(rows_.begin(), rows_.end(), [row](const DomainList& r) { return r.id == row; });
  if (found == rows_.end() || checks_.size() >= kMostChecks) return;
  const auto file = in_force_.find(found->name);
  if (file == in_force_.end()) return;
  if (checked_.size() >= kMostChecked) checked_.clear();
  if (!checked_.insert(file->second + '\0' + std::string(name)).second) return;
  checks_.push_back({file->second, std::string(name)});
  work_.notify_all();
}

// The thread

/// The file to compile next, those of enabled rows first; "" for none.
std::string ListShelf::next_file() const {
  std::string other;
  for (const DomainList& row : rows_) {
    const auto file = files_.find(row.file);
    if (file == files_.end() || !file->second->queued) continue;
    if (row.life.enabled) return row.file;
    other = row.file;
  }
  return other;
}

void ListShelf::run() {
  if (::getpriority(PRIO_PROCESS, 0) < kNice) ::setpriority(PRIO_PROCESS, 0, kNice);  // of this thread alone, on Linux
  std::unique_lock lock(mutex_);
  while (!abandoned_) {
    if (const std::string file = next_file(); !file.empty()) {
      lock.unlock();
      compile(file);
    } else if (!checks_.empty()) {
      const Check check = std::move(checks_.front());
      checks_.pop_front();
      lock.unlock();
      look_up(check.file, check.name);
    } else {
      work_.wait(lock);
      continue;
    }
    lock.lock();
  }
}

void ListShelf::compile(const std::string& name) {
  const auto begin = std::chrono::steady_clock::now();
  File made;
  made.queued = false;
  if (const FileStamp now = FileStamp::of(folder_ / name); is_settled(now)) made.tried = now;  // else it is tried again
  try {
    if (name.find('/') != name.npos || name == "." || name == "..")
      throw std::runtime_error('`' + name + "` is not the name of a file in lists/: import the list again");
    auto opened = std::make_shared<const OpenedList>(open_(folder_ / name));
    made.names = read(*opened);
    made.opened = std::move(opened);
  } catch (const Abandoned&) {
    return;
  } catch (const std::exception& error) {
    made.failure = error.what();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const std::scoped_lock lock(mutex_);
  const auto found = files_.find(name);
  if (found == files_.end()) return;  // no row names it any more
  if (made.names)
    messages_.push_back(LogMessage::info("lists/" + name + ": " + std::to_string(made.names->size()) +
                                         " names, compiled in " +
                                         std::to_string(static_cast<int>(took.count() * 1000)) + " ms"));
  else if (found->second->failure != made.failure)
    messages_.push_back(LogMessage::warning("lists/" + name + ": " + made.failure));
  changed_ = changed_ || made.names || found->second->failure != made.failure;
  *found->second = std::move(made);
  done_.notify_all();
}

std::shared_ptr<const NameSet> ListShelf::read(const OpenedList& list) const {
  policy::HashedNames names;
  names.nearest_wins = list.nearest_wins;
  names.reserve(list.entries);
  list.for_each([&](std::string_view name, ListEntry entry) {
    if (abandoned_.load(std::memory_order_relaxed)) throw Abandoned();
    names.add(name, entry, seed_);
  });
  return NameSet::build(std::move(names));
}

/// Every suffix that the compiled set reports must stand in the file.
void ListShelf::look_up(const std::string& file, const std::string& name) {
  File of;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = files_.find(file);
    if (found == files_.end() || !found->second->names) return;
    of = *found->second;
  }
  policy::Mismatches wrong;
  try {
    const policy::NameSuffixes suffixes(name, seed_);
    for (std::size_t i = 0; i < suffixes.count(); ++i) {
      const ListEntry reported = of.names->find(suffixes.hash(i));
      if (reported == ListEntry::none) continue;
      const ListEntry truth = of.opened->find(suffixes.text(i));
      if (truth != reported) wrong.emplace(suffixes.text(i), truth);
    }
    if (!wrong.empty()) correct(file, wrong);
  } catch (const std::exception&) {  // the file has gone, there is nothing to compare with; or memory has
  }
}

void ListShelf::correct(const std::string& file, const policy::Mismatches& wrong) {
  const std::scoped_lock lock(mutex_);
  const auto found = files_.find(file);
  if (found == files_.end()) return;
  const auto& before = found->second->mismatches;
  auto known = before ? std::make_shared<policy::Mismatches>(*before) : std::make_shared<policy::Mismatches>();
  for (const auto& [name, truth] : wrong) {
    if (known->size() >= kMostMismatches || !known->emplace(name, truth).second) continue;
    mismatches_.fetch_add(1, std::memory_order_relaxed);
    messages_.push_back(LogMessage::warning("lists/" + file +
                                            ": a name was judged by the entry of another one that has its hash; " +
                                            "corrected from now on (log.level = \"debug\" names it)"));
    corrected_.push_back("lists/" + file + ": " + name);
    changed_ = true;
  }
  found->second->mismatches = std::move(known);
}

}  // namespace gatehouse
