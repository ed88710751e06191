#include "gateway/services/log.hpp"

#include "gateway/base/guarded.hpp"
#include "gateway/base/printable.hpp"
#include "gateway/base/start_thread.hpp"

#include <gatehouse/plugin/border.hpp>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>

namespace gatehouse {
namespace {

constexpr std::array<std::string_view, 5> kLevelNames = {"error", "warn", "info", "debug", "trace"};

spdlog::level::level_enum to_spdlog(std::int32_t level) noexcept {
  switch (level) {
    case GH_LOG_ERROR: return spdlog::level::err;
    case GH_LOG_WARN: return spdlog::level::warn;
    case GH_LOG_INFO: return spdlog::level::info;
    case GH_LOG_DEBUG: return spdlog::level::debug;
    default: return spdlog::level::trace;
  }
}

bool is_plain(std::string_view text) {
  return !text.empty() && text.find_first_of(" \"\\=") == text.npos && printable(text) == text;
}

/// Appends `text` so that it stays on its line and, in quotes, within them.
void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find_first_of("\"\\"), text.size());
    append_printable(out, text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) return;
    out += '\\';
    out += text[0];
    text.remove_prefix(1);
  }
}

std::string text_body(std::string_view component, std::string_view event, const LogField* fields, std::size_t count) {
  std::string out(component);
  out += ": ";
  append_escaped(out, event);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [key, value] = fields[i];
    out += ' ';
    append_escaped(out, key);
    out += '=';
    const bool quoted = !is_plain(value);
    if (quoted) out += '"';
    append_escaped(out, value);
    if (quoted) out += '"';
  }
  return out;
}

/// In quotes. One string at a time: a tree of values does not survive that memory runs out while it grows.
std::string json_string(std::string_view text) {
  return printable_json(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

/// `"component":"...","event":"...",...}`: time and level are put before it.
std::string json_body(std::string_view component, std::string_view event, const LogField* fields, std::size_t count) {
  std::string out = "\"component\":" + json_string(component) + ",\"event\":" + json_string(event);
  for (std::size_t i = 0; i < count; ++i) {
    out += ',' + json_string(fields[i].first) + ':' + json_string(fields[i].second);
  }
  return out + '}';
}

}  // namespace

std::optional<std::int32_t> log_level_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<std::int32_t>(i);
  }
  return {};
}

/// Where lines end: stderr, by spdlog.
class Journal::Writer {
 public:
  explicit Writer(LogFormat format)
      : json_(format == LogFormat::json), logger_("", std::make_shared<spdlog::sinks::stderr_sink_st>()) {
    const char* pattern = json_ ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v)" : "%Y-%m-%dT%H:%M:%S.%eZ %v";
    logger_.set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc));
    logger_.set_level(spdlog::level::trace);
    logger_.flush_on(spdlog::level::trace);
  }

  void put(const Line& line) {
    const std::string_view level = kLevelNames[static_cast<std::size_t>(line.level)];
    std::string text = json_ ? "\"level\":\"" : "";
    text += level;
    text += json_ ? "\"," : " ";
    text += line.body;
    logger_.log(line.time, spdlog::source_loc{}, to_spdlog(line.level), text);
  }

 private:
  bool json_;
  spdlog::logger logger_;
};

Journal::Journal(std::int32_t level, LogFormat format) : level_(level), format_(format) {
  thread_ = start_thread("gatehouse-log", [this] { run(); });
}

Journal::~Journal() {
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool Journal::wants(std::int32_t level) const noexcept {
  return level <= std::atomic_ref(level_).load(std::memory_order_relaxed);
}

void Journal::set_level(std::int32_t level) noexcept {
  std::atomic_ref(level_).store(level, std::memory_order_relaxed);
}

void Journal::queue(std::int32_t level, std::string_view component, std::string_view event, const LogField* fields,
                    std::size_t count) noexcept {
  if (level < GH_LOG_ERROR || level > GH_LOG_TRACE) level = GH_LOG_ERROR;
  const auto put = [&] {
    const auto body = format_ == LogFormat::json ? json_body : text_body;
    Line line{std::chrono::system_clock::now(), level, body(component, event, fields, count)};
    const std::scoped_lock lock(mutex_);
    if (lines_.size() >= kCapacity) return false;
    lines_.push_back(std::move(line));
    return true;
  };
  if (!guarded(put, false)) return count_dropped();
  changed_.notify_all();
}

void Journal::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return lines_.empty() && !writing_; });
}

void Journal::run() {
  Writer writer(format_);
  std::vector<Line> batch;
  std::uint64_t reported = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return !lines_.empty() || closed_; });
    if (lines_.empty()) return;
    batch.swap(lines_);
    writing_ = true;
    lock.unlock();
    for (const Line& line : batch) writer.put(line);
    batch.clear();
    if (const std::uint64_t now = dropped(); now != reported) {
      const std::string count = std::to_string(now - reported);
      const LogField field{"lines", count};
      const auto body = format_ == LogFormat::json ? json_body : text_body;
      writer.put({std::chrono::system_clock::now(), GH_LOG_WARN, body("log", "lines were dropped", &field, 1)});
      reported = now;
    }
    lock.lock();
    writing_ = false;
    changed_.notify_all();
  }
}

PluginLog::PluginLog(std::shared_ptr<Journal> journal, std::string plugin)
    : journal_(std::move(journal)), plugin_(std::move(plugin)) {
  table_ = {
      sizeof(gh_log), 0, this, journal_->level(),
      [](void* context, std::int32_t level, gh_bytes event, const gh_log_field* fields, std::size_t count) noexcept {
        const auto& self = *static_cast<const PluginLog*>(context);
        const auto write = [&] {
          std::vector<LogField> copied;
          for (std::size_t i = 0; i < count; ++i)
            copied.emplace_back(from_border(fields[i].key), from_border(fields[i].value));
          self.journal_->write(level, self.plugin_, from_border(event), copied);
          return true;
        };
        if (!guarded(write, false)) self.journal_->count_dropped();
      }};
}

}  // namespace gatehouse
