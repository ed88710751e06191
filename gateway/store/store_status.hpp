// The state of the store, as `status`, metrics and the log show it. Values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace gatehouse {

/// What becomes of new sessions and leases while nothing can be written.
enum class OnStoreFailure {
  serve,   ///< they are taken and written later; a crash before that forgets them
  no_new,  ///< they are refused
  stop     ///< the gateway drains and ends
};

/// As in the configuration.
[[nodiscard]] constexpr std::string_view to_text(OnStoreFailure what) noexcept {
  return what == OnStoreFailure::stop ? "stop" : what == OnStoreFailure::no_new ? "no_new" : "serve";
}

struct StoreStatus {
  bool failing = false;          ///< the last try failed, or does not return
  std::string last_error;        ///< a sentence, "" if there never was one
  std::chrono::seconds lag{0};   ///< since the oldest change that is not on disk
  std::uint64_t dirty_rows = 0;  ///< that wait to be written
  std::uint64_t commits = 0, rows = 0, failures = 0;
  std::uint64_t served_undurable = 0;  ///< completions that came before the disk had it
  std::uint64_t refused = 0;           ///< new sessions and leases, under `no_new`
  std::uint64_t forgotten = 0;         ///< ended sessions without a key whose rows were given up, for too many waited
  std::uint64_t aside = 0;             ///< rows that the store cannot take, and that do not hold up the others
  std::string last_aside;              ///< the last of them and why, a sentence; "" if there never was one
  std::uint64_t displaced = 0;         ///< idle sessions that were ended for others, for the table was full
  std::string excess;                  ///< db::Store::excess()
  std::int64_t unsure_until = 0;       ///< StoreOpening::unsure_until
};

}  // namespace gatehouse
