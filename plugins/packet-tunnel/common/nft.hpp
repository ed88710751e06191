// nftables rules as text, by libnftables.
#pragma once

#include <memory>
#include <string>

struct nft_ctx;

namespace gatehouse::packet_tunnel {

/// Works on the network namespace in which it was made. For control threads: a call takes milliseconds, and more on a
/// host with many rules. Not thread-safe.
class Nft {
 public:
  /// @throws HostError
  Nft();

  /// Runs all commands of `text` (nft(8)) as one transaction: all of them take effect at the same instant, or none.
  /// @return what they print
  /// @throws HostError  with the library's words; for want of CAP_NET_ADMIN or of a module it says what to do
  std::string run(const std::string& text);

 private:
  struct Free {
    void operator()(nft_ctx* context) const noexcept;
  };
  std::unique_ptr<nft_ctx, Free> context_;
};

}  // namespace gatehouse::packet_tunnel
