#include <gatehouse/plugin/connection_log.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kProbes = 8;
constexpr std::string_view kOthers = "connections merged";  // of several events

Prefix network_of(const IpAddress& source) noexcept {
  const IpAddress address = source.unmapped();
  return address.family() == Family::none ? Prefix() : Prefix(address, address.is_v4() ? 32 : 64);
}

std::string text_of(const Prefix& source) {
  return source.address().family() == Family::none ? "unix" : source.to_string();
}

}  // namespace

ConnectionLog::ConnectionLog(LaneLoop& loop, const Log& log, Nanoseconds interval)
    : loop_(loop), log_(log), interval_(interval), timer_([this] { end_interval(); }) {}

void ConnectionLog::write(LogLevel level, const IpAddress& source, std::string_view event,
                          std::initializer_list<Log::Field> fields) {
  if (!log_.wants(level)) return;
  if (!std::exchange(is_open_, true)) loop_.schedule(timer_, interval_);
  Place& place = place_of(network_of(source), event);
  const bool has_room = place.written < kLines && written_ < kLinesOfAll && &place != &others_;
  if (has_room || log_.wants(LogLevel::debug)) {
    ++place.written;
    ++written_;
    log_.write(has_room ? level : LogLevel::debug, event, fields);
  } else {
    place.level = std::min(place.level, level);  // the graver one, among those that found no place of their own
    ++place.more;
  }
}

ConnectionLog::Place& ConnectionLog::place_of(const Prefix& source, std::string_view event) noexcept {
  const std::size_t hash = hash_value(source.address()) ^ std::hash<std::string_view>()(event);
  for (std::size_t i = 0; i < kProbes; ++i) {
    Place& place = places_[(hash + i) % kSources];
    if (place.event == event && place.source == source) return place;
    if (!place.event.empty()) continue;
    place.event = event;
    place.source = source;
    return place;
  }
  return others_;
}

void ConnectionLog::end_interval() {
  const std::string seconds = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(interval_).count());
  const auto tell = [&](const Place& place, std::string_view event, const std::string& source) {
    if (place.more == 0) return;
    log_.write(place.level, event, {{"source", source}, {"more", std::to_string(place.more)}, {"seconds", seconds}});
  };
  for (Place& place : places_) {
    if (place.event.empty()) continue;
    tell(place, place.event, text_of(place.source));
    place = {};
  }
  tell(others_, kOthers, "others");
  others_ = {};
  written_ = 0;
  is_open_ = false;
}

}  // namespace gatehouse
