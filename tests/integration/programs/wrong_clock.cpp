// Preloaded into a gateway: a clock that is as many seconds ahead as the environment says in WRONG_CLOCK_SECONDS. The
// kernel says that it is not synchronised, or that it is, if WRONG_CLOCK_SYNCHRONISED is set.
#include <dlfcn.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include <cerrno>
#include <cstdlib>

namespace {

/// Asked before main(), too, so it keeps nothing that has to be made first.
time_t ahead() {
  const char* const seconds = std::getenv("WRONG_CLOCK_SECONDS");
  return seconds == nullptr ? 0 : std::atol(seconds);
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

int real_time(clockid_t clock, timespec* now) {
  static const auto ask = real<int (*)(clockid_t, timespec*)>("clock_gettime");
  return ask(clock, now);
}

int state(timex* about) {
  if (about->modes != 0) {  // nobody here sets a clock
    errno = EPERM;
    return -1;
  }
  static const auto ask = real<int (*)(timex*)>("adjtimex");
  if (ask(about) < 0) return -1;
  about->time.tv_sec += ahead();
  const bool is_synchronised = std::getenv("WRONG_CLOCK_SYNCHRONISED") != nullptr;
  about->status = is_synchronised ? about->status & ~STA_UNSYNC : about->status | STA_UNSYNC;
  return is_synchronised ? TIME_OK : TIME_ERROR;
}

}  // namespace

extern "C" [[gnu::visibility("default")]] int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const int done = real_time(clock, now);
  if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
  return done;
}

extern "C" [[gnu::visibility("default")]] time_t time(time_t* out) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

extern "C" [[gnu::visibility("default")]] int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  *out = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

extern "C" [[gnu::visibility("default")]] int adjtimex(timex* about) noexcept { return state(about); }
extern "C" [[gnu::visibility("default")]] int ntp_adjtime(timex* about) noexcept { return state(about); }
extern "C" [[gnu::visibility("default")]] int clock_adjtime(clockid_t, timex* about) noexcept { return state(about); }
