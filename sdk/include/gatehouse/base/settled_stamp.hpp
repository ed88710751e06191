// Whether a file's stamp moves when the file does.
#pragma once

#include <gatehouse/base/file_stamp.hpp>

#include <cstdint>
#include <ctime>

namespace gatehouse {

/// Does a later write show as another stamp? Not while the clock that file systems take their times from, which moves
/// in steps (of 2 s on FAT), has moved on too little. Of a stamp that was taken just now, before reading the file.
[[nodiscard]] inline bool is_settled(const FileStamp& stamp) noexcept {
  constexpr std::int64_t kStep = 2;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec - stamp.seconds > kStep || stamp.seconds - now.tv_sec > kStep;
}

}  // namespace gatehouse
