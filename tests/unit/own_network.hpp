// A test in a network of its own: what it makes there is gone with its process.
#pragma once

#include "tests/unit/own_process.hpp"

#include <gtest/gtest.h>

#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace gatehouse {

/// Runs `task` in a child with a network of its own; loopback is up.
template <class Task>
void in_own_network(Task task) {
  in_own_process(
      "network namespace with the ip command and tun devices",
      [] {
        if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
        return std::system("ip link set lo up") == 0 && ::access("/dev/net/tun", R_OK | W_OK) == 0;
      },
      task);
}

/// What a command prints; its failure is the test's.
inline std::string output_of(const std::string& command) {
  std::string out;
  std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "no pipe";
  char part[4096];
  while (const std::size_t got = std::fread(part, 1, sizeof part, pipe)) out.append(part, got);
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << out;
  return out;
}

/// Until the kernel takes packets for its own IPv6 address, which it gets round to some time after it was given.
inline void wait_for_address(const std::string& address, const std::string& enter = "") {
  output_of(enter + " timeout 10 sh -c 'until ip -6 route show table local | grep -qF \"" + address +
            " \"; do sleep 0.005; done'");
}

/// This process can do nothing any more that needs a capability; it keeps its user.
inline bool drop_capabilities() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  return ::syscall(SYS_capset, &header, none) == 0;
}

}  // namespace gatehouse
