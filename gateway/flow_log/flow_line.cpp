#include "gateway/flow_log/flow_line.hpp"

#include "gateway/base/printable.hpp"

#include <nlohmann/json.hpp>

#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace gatehouse {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMillisecond = 1'000'000;

/// `"time":"2026-11-21T14:30:00.125Z"`, after a brace.
void append_time(std::string& out, std::int64_t time_ns) {
  const std::time_t seconds = time_ns / kSecond;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 48> text;
  const std::size_t size = std::strftime(text.data(), text.size(), "{\"time\":\"%Y-%m-%dT%H:%M:%S", &parts);
  out.append(text.data(), size);
  std::snprintf(text.data(), text.size(), ".%03dZ\"", static_cast<int>(time_ns % kSecond / kMillisecond));
  out += text.data();
}

/// In quotes. Names and identities are nearly always plain; the rest is for the library.
void append_text(std::string& out, std::string_view text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  if (plain) {
    out += '"';
    out += text;
    out += '"';
  } else {
    out += printable_json(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += ",\"";
  out += name;
  out += "\":";
  append_text(out, value);
}

void append_number(std::string& out, std::string_view name, std::int64_t value) {
  out += ",\"";
  out += name;
  out += "\":";
  out += std::to_string(value);
}

}  // namespace

void append_flow_line(std::string& out, std::string_view plugin, const FlowEntry& entry) {
  append_time(out, entry.time_ns);
  append_member(out, "plugin", plugin);
  if (entry.identity_size != 0) append_member(out, "identity", entry.identity());
  if (entry.source.family() != Family::none) append_member(out, "source", entry.source.to_string());
  append_member(out, "destination", entry.destination.to_string());
  append_number(out, "port", entry.port);
  append_member(out, "transport",
                entry.transport == policy::kUdp   ? "udp"
                : entry.transport == policy::kTcp ? "tcp"
                : entry.transport == policy::kIcmp || entry.transport == policy::kIcmpV6
                    ? "icmp"
                    : std::to_string(entry.transport));
  if (entry.domain_size != 0) append_member(out, "domain", entry.domain());
  append_member(out, "verdict", policy::to_text(entry.verdict.action));
  append_member(out, "reason", policy::to_text(entry.verdict.reason));
  if (entry.verdict.table != policy::Table::none) {
    append_member(out, "table", policy::to_text(entry.verdict.table));
    append_number(out, "row", entry.verdict.row);
  }
  append_number(out, "generation", static_cast<std::int64_t>(entry.verdict.generation));
  out += "}\n";
}

void append_loss_line(std::string& out, std::chrono::system_clock::time_point now, std::uint64_t lost) {
  append_time(out, std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count());
  append_number(out, "lost", static_cast<std::int64_t>(lost));
  out += "}\n";
}

}  // namespace gatehouse
