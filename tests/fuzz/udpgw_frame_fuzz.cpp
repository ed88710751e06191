// Any bytes as a udpgw stream: every frame lies inside the input, the decoder always gets on, and what it has decoded
// can be written again.
#include "plugins/udpgw/frame.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <vector>

namespace {

using namespace gatehouse;
using namespace gatehouse::udpgw;

void survives_writing(const Frame& frame, std::size_t size) {
  std::vector<std::byte> wire(kOverheadV6);
  wire.resize(write_header(wire, frame.conid, frame.address, frame.payload.size()));
  wire.insert(wire.end(), frame.payload.begin(), frame.payload.end());
  const Decoded again = decode(wire);
  require(again.kind == FrameKind::data && again.size == size && again.frame.conid == frame.conid);
  require(std::ranges::equal(again.frame.address, frame.address));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes in = fuzz_input(data, size);
  static_cast<void>(looks_like_tun2proxy(in));
  for (std::size_t at = 0;;) {
    const Decoded decoded = decode(in.subspan(at));
    if (decoded.kind == FrameKind::incomplete) return 0;
    require(decoded.size >= kLengthSize && decoded.size <= size - at);
    if (decoded.kind == FrameKind::data) {
      const Bytes frame = in.subspan(at, decoded.size);
      require(decoded.frame.payload.data() + decoded.frame.payload.size() == frame.data() + frame.size());
      static_cast<void>(read_address(decoded.frame.address));
      survives_writing(decoded.frame, decoded.size);
    }
    at += decoded.size;
  }
}
