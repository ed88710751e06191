#include <gatehouse/net/reuseport_steering.hpp>

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>

namespace gatehouse {

/// The number is put together byte by byte, so that nothing behind it must be there. A load beyond the payload ends the
/// program with 0 (kernel bpf_convert_filter(): BPF_LD | BPF_ABS).
Result<void> steer_by(int fd, PayloadNumber number, unsigned sockets) noexcept {
  if (number.width < 1 || number.width > 4 || sockets == 0) return Errc::invalid;
  if (sockets == 1) return boost::system::in_place_value;
  std::array<sock_filter, 2 + 4 * 6> program;
  std::uint16_t size = 0;
  const auto add = [&](unsigned code, std::uint32_t value = 0) {
    program[size++] = {static_cast<std::uint16_t>(code), 0, 0, value};
  };
  add(BPF_LD | BPF_B | BPF_ABS, number.offset);
  for (std::uint32_t i = 1; i < number.width; ++i) {
    add(BPF_ALU | BPF_LSH | BPF_K, 8);
    add(BPF_ST, 0);  // M[0] = A
    add(BPF_LD | BPF_B | BPF_ABS, number.offset + i);
    add(BPF_LDX | BPF_MEM, 0);  // X = M[0]
    add(BPF_ALU | BPF_OR | BPF_X);
  }
  add(BPF_ALU | BPF_MOD | BPF_K, sockets);
  add(BPF_RET | BPF_A);
  const sock_fprog attached{size, program.data()};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &attached, sizeof attached) != 0) return last_system_error();
  return boost::system::in_place_value;
}

}  // namespace gatehouse
