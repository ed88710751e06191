// The system's name servers, as resolv.conf(5) lists them, kept up to date while a plugin runs.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/clock.hpp>
#include <gatehouse/base/file_stamp.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gatehouse {

/// The name servers in the text of a resolv.conf, in order, all on port 53: every line `nameserver ADDRESS`, whatever
/// follows. IPv6 zones may be names ("fe80::1%eth0") or numbers. Every other line is ignored, one with an unreadable
/// address or an interface that does not exist, too. Never empty: without any it is 127.0.0.1, as for the C library.
///
/// Cost: a system call for each zone that is a name.
[[nodiscard]] std::vector<Endpoint> parse_resolv_conf(std::string_view text);

/// Reads the file again when it changes. Not thread-safe: one per lane.
class ResolvConf {
 public:
  /// Reads nothing yet.
  explicit ResolvConf(std::string path = "/etc/resolv.conf") : path_(std::move(path)) {}

  /// The present name servers; never empty. Valid until the next call. Looks at the file (one system call) when a
  /// second has passed since it last did, and reads it when time, size or inode differ, or were too new at the last
  /// reading to tell. A file that cannot be read
  /// leaves the last list; if there was none, it is 127.0.0.1.
  [[nodiscard]] const std::vector<Endpoint>& nameservers(SteadyTime now);

  /// Moves when nameservers() has found another list.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

 private:
  void refresh();

  std::string path_;
  std::vector<Endpoint> nameservers_;
  FileStamp stamp_;
  SteadyTime next_look_{};
  std::uint64_t version_ = 0;
};

}  // namespace gatehouse
