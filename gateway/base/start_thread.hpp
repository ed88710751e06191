// How the gateway starts its threads: with a name, and without signals.
#pragma once

#include "gateway/base/block_signals.hpp"

#include <pthread.h>

#include <thread>
#include <utility>

namespace gatehouse {

/// Starts a thread that has every signal blocked: signals go to the control thread.
/// @param name  what `top -H` and debuggers show; at most 15 characters
/// @throws std::system_error  no thread can be started
template <class Function>
[[nodiscard]] std::thread start_thread(const char* name, Function run) {
  const BlockSignals block;
  std::thread out(std::move(run));
  pthread_setname_np(out.native_handle(), name);
  return out;
}

}  // namespace gatehouse
