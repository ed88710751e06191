// Generic segmentation offload of UDP (UDP_SEGMENT, since kernel 4.18): many datagrams of one size given to the kernel
// as one message, which the card or the stack cuts at the latest moment. Where it works it is worth a factor of ten;
// some kernels corrupt what they cut, hence the choice.
#pragma once

namespace gatehouse {

enum class Gso {
  automatic,         ///< used, unless gso_works() says no
  off,               ///< every datagram is a message of its own
  never_equal_tail,  ///< for kernels that corrupt batches whose datagrams are all equal in size (7.0 to 7.1.4 with some
                     ///< drivers): to such a batch a last one of a byte is added, 0x07, for which clients have no use;
                     ///< batches of less than 8, where that is not worth it, go singly
};

/// Tries it: sends batches of known bytes over loopback, equal ones and with a shorter last one, within this process
/// and compares what arrives. Finds kernels that do not have it, or whose own cutting is broken; what a card does with
/// it nobody finds that way.
///
/// Cost: 0.1 ms, half a second at most. Where loopback cannot be used, there is nothing to be said against it: true.
[[nodiscard]] bool gso_works() noexcept;

}  // namespace gatehouse
