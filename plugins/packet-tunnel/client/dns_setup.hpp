// Makes the system ask through the tunnel: by systemd-resolved where it runs, else by another resolv.conf.
#pragma once

#include <gatehouse/base/address.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace gatehouse::packet_tunnel {

/// The file, or the symbolic link, stands beside itself under another name meanwhile, so that a restart of the machine
/// does not lose it. Control code: blocks.
class ResolvConfReplacement {
 public:
  explicit ResolvConfReplacement(std::filesystem::path file)
      : file_(std::move(file)), before_(file_.string() + ".before-gatehouse-tunnel") {}

  /// At one instant, unless somebody has mounted something there. @throws std::runtime_error  a sentence
  void replace(const std::vector<IpAddress>& servers) const;
  /// Puts the file back, unless somebody has replaced ours meanwhile: then theirs stays. Nothing where it was not
  /// replaced. @throws std::runtime_error  a sentence
  void restore() const;
  /// Does a replaced one wait to be restored?
  [[nodiscard]] bool is_replaced() const noexcept;
  /// Where the replaced one stands.
  [[nodiscard]] const std::filesystem::path& before() const noexcept { return before_; }

 private:
  [[nodiscard]] bool is_ours() const;

  std::filesystem::path file_, before_;
};

/// Does systemd-resolved answer the queries of this system?
[[nodiscard]] bool has_resolved();

/// Every query that is not of another link's own domains goes to `servers` by `device`; it ends with the device.
/// @throws std::runtime_error  resolvectl's words
void point_resolved_to(const std::string& device, const std::vector<IpAddress>& servers);

}  // namespace gatehouse::packet_tunnel
