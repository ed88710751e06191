#include "plugins/packet-tunnel/common/nft.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"

#include <nftables/libnftables.h>

#include <algorithm>

namespace gatehouse::packet_tunnel {
namespace {

/// The library's complaint as one line, without the piece of the text that it shows below.
std::string first_line(std::string_view said) {
  if (const auto error = said.find("Error: "); error != said.npos) said.remove_prefix(error + 7);
  return std::string(said.substr(0, said.find('\n')));
}

}  // namespace

void Nft::Free::operator()(nft_ctx* context) const noexcept { nft_ctx_free(context); }

Nft::Nft() : context_(nft_ctx_new(NFT_CTX_DEFAULT)) {
  if (!context_ || nft_ctx_buffer_output(context_.get()) != 0 || nft_ctx_buffer_error(context_.get()) != 0)
    throw HostError("cannot use nftables: the library has no memory or no netlink socket");
  nft_ctx_output_set_flags(context_.get(), NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_STATELESS);
}

std::string Nft::run(const std::string& text) {
  const int failed = nft_run_cmd_from_buffer(context_.get(), text.c_str());
  std::string printed = nft_ctx_get_output_buffer(context_.get());
  const std::string said = first_line(nft_ctx_get_error_buffer(context_.get()));
  if (failed == 0) return printed;
  std::string sentence = "nftables refuses the rules: " + said;
  if (said.find("Operation not permitted") != said.npos || said.find("must be root") != said.npos)
    sentence +=
        "; CAP_NET_ADMIN is missing: AmbientCapabilities=CAP_NET_ADMIN in a unit, --cap-add NET_ADMIN for a "
        "container, or set nat = \"none\" and have rules of your own";
  if (said.find("Operation not supported") != said.npos || said.find("No such file or directory") != said.npos ||
      said.find("not supported by protocol") != said.npos)
    sentence +=
        "; a module of the kernel may be missing (modprobe nf_tables nft_chain_nat nft_masq nft_ct nft_connlimit)";
  throw HostError(sentence);
}

}  // namespace gatehouse::packet_tunnel
