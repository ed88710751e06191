#include <gatehouse/net/tun_device.hpp>

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>

namespace gatehouse {
namespace {

constexpr unsigned kUso4 = 0x20, kUso6 = 0x40;  // TUN_F_USO4, TUN_F_USO6 of linux/if_tun.h, since 6.2
constexpr unsigned kMostQueues = 256;           // MAX_TAP_QUEUES of drivers/net/tun.c

[[noreturn]] void fail(const std::string& sentence) { throw std::runtime_error(sentence); }

std::string reason(int error) { return Error(error, boost::system::system_category()).message(); }

/// The error of a read or write on a queue.
Error queue_error() noexcept {
  if (errno == EAGAIN) return Errc::would_block;
  if (errno == EBADFD) return Errc::closed;
  return last_system_error();
}

UniqueFd open_node() {
  UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (fd) return fd;
  const int error = errno;
  std::string advice;
  if (error == ENOENT || error == ENXIO || error == ENODEV)
    advice = "; load the kernel's module (modprobe tun), and hand the device to a container (--device /dev/net/tun)";
  if (error == EACCES || error == EPERM)
    advice =
        "; let this user read and write it, and allow it to a container (--device /dev/net/tun) or a unit "
        "(DeviceAllow=/dev/net/tun rw)";
  fail("cannot open /dev/net/tun: " + reason(error) + advice);
}

ifreq request_of(const std::string& name, int flags) noexcept {
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), std::min(name.size(), std::size_t{IFNAMSIZ - 1}));
  request.ifr_flags = static_cast<short>(flags);
  return request;
}

/// errno, or 0. The kernel writes the name that it has chosen into `request`.
int set_interface(int fd, ifreq& request) noexcept { return ::ioctl(fd, TUNSETIFF, &request) == 0 ? 0 : errno; }

[[noreturn]] void fail_to_open(const std::string& name, int error, bool exists) {
  std::string text = "cannot open the tun device " + name + ": " + reason(error);
  if (error == EPERM)
    text += exists
                ? "; it belongs to another user, and CAP_NET_ADMIN is missing"
                : "; CAP_NET_ADMIN is missing (AmbientCapabilities=CAP_NET_ADMIN in a unit, --cap-add NET_ADMIN for a "
                  "container), or make it beforehand: ip tuntap add mode tun multi_queue user USER name " +
                      name;
  if (error == EBUSY) text += "; another process is using it: choose another name, or end that process";
  if (error == EINVAL && exists)
    text +=
        "; there is an interface of that name that is no tun device with several queues: choose another name, or "
        "delete it (ip link delete " +
        name + ")";
  if (error == E2BIG) text += "; a device has at most 256 queues, those of other processes included";
  fail(text);
}

/// What the kernel tells of a tun device only by netlink (drivers/net/tun.c, tun_fill_info).
struct TunFacts {
  std::optional<std::uint32_t> queues;  ///< all descriptors, those of other processes too
  bool packet_information = false;      ///< four bytes stand before each packet: no IFF_NO_PI
};

const rtattr* find_attribute(const rtattr* attribute, std::size_t bytes, int type) noexcept {
  for (int left = static_cast<int>(bytes); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
    if ((attribute->rta_type & NLA_TYPE_MASK) == type) return attribute;
  return nullptr;
}

const rtattr* find_inside(const rtattr* outer, int type) noexcept {
  if (outer == nullptr) return nullptr;
  return find_attribute(static_cast<const rtattr*>(RTA_DATA(outer)), RTA_PAYLOAD(outer), type);
}

/// Of the device of that number; nothing where the kernel does not tell.
TunFacts read_facts(unsigned index) noexcept {
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    ifinfomsg link;
  } request{};
  request.header = {sizeof request, RTM_GETLINK, NLM_F_REQUEST, 1, 0};
  request.link.ifi_index = static_cast<int>(index);
  if (!fd || index == 0 || ::send(fd.get(), &request, sizeof request, 0) < 0) return {};

  alignas(nlmsghdr) std::array<char, std::size_t{32} * 1024> buffer;
  const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  const auto* const header = reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (got < 0 || !NLMSG_OK(header, got) || header->nlmsg_type != RTM_NEWLINK) return {};
  const auto* const link = static_cast<const ifinfomsg*>(NLMSG_DATA(header));
  const rtattr* const info =
      find_inside(find_attribute(IFLA_RTA(link), IFLA_PAYLOAD(header), IFLA_LINKINFO), IFLA_INFO_DATA);
  TunFacts out;
  if (const auto* const found = find_inside(info, IFLA_TUN_PI); found != nullptr && RTA_PAYLOAD(found) == 1)
    out.packet_information = *static_cast<const std::uint8_t*>(RTA_DATA(found)) != 0;
  if (const auto* const found = find_inside(info, IFLA_TUN_NUM_QUEUES); found != nullptr && RTA_PAYLOAD(found) == 4)
    std::memcpy(&out.queues.emplace(), RTA_DATA(found), 4);
  return out;
}

bpf_insn instruction(unsigned code, unsigned to, unsigned from, int offset, std::int32_t immediate) noexcept {
  bpf_insn out{};
  out.code = static_cast<std::uint8_t>(code);
  out.dst_reg = static_cast<std::uint8_t>(to & 0xf);
  out.src_reg = static_cast<std::uint8_t>(from & 0xf);
  out.off = static_cast<std::int16_t>(offset);
  out.imm = immediate;
  return out;
}

/// Returns the last three bytes of the destination modulo `queues`. (The kernel keeps 16 bits of what a program returns
/// before it takes that modulo.) It sees the packet from its IP header on; one that is too short ends it with 0
/// (drivers/net/tun.c, tun_ebpf_select_queue).
UniqueFd load_steering(std::size_t queues) noexcept {
  constexpr unsigned kByteAt = BPF_LD | BPF_ABS | BPF_B, kWordAt = BPF_LD | BPF_ABS | BPF_W;
  const std::array program{
      instruction(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),  // loads by offset want the packet in r6
      instruction(kByteAt, 0, 0, 0, 0),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, 0, 0, 0, 4),  // the version
      instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 6),
      instruction(kWordAt, 0, 0, 0, 16),  // RFC 791: destination address
      instruction(BPF_JMP | BPF_JA, 0, 0, 1, 0),
      instruction(kWordAt, 0, 0, 0, 36),  // RFC 8200: the last four bytes of it
      instruction(BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0, 0xffffff),
      instruction(BPF_ALU64 | BPF_MOD | BPF_K, 0, 0, 0, static_cast<std::int32_t>(queues)),
      instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
  };
  constexpr char kLicence[] = "Apache-2.0";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
  attributes.insns = reinterpret_cast<std::uint64_t>(program.data());
  attributes.insn_cnt = program.size();
  attributes.license = reinterpret_cast<std::uint64_t>(kLicence);
  return UniqueFd(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes)));
}

}  // namespace

Result<std::size_t> TunQueue::read(MutableBytes into) noexcept {
  const ssize_t got = ::read(fd_.get(), into.data(), into.size());
  if (got < 0) return queue_error();
  return static_cast<std::size_t>(got);
}

Result<void> TunQueue::write(std::span<const Bytes> parts) noexcept {
  if (parts.size() > kMostTunParts) return Errc::invalid;
  std::array<iovec, kMostTunParts> gathered;
  std::size_t count = 0;
  for (const Bytes part : parts) gathered[count++] = {const_cast<std::byte*>(part.data()), part.size()};
  if (::writev(fd_.get(), gathered.data(), static_cast<int>(count)) < 0) return queue_error();
  return boost::system::in_place_value;
}

TunDevice TunDevice::open(const TunRequest& request) {
  if (request.name.empty() || request.name.size() >= IFNAMSIZ || request.name.find('/') != std::string::npos)
    fail("\"" + request.name + "\" is no name of a network interface: 1 to 15 characters without a slash");
  if (request.queues < 1 || request.queues > kMostQueues) fail("a tun device has 1 to 256 queues");

  // Several queues also for one, so that the next start may have more of them.
  int flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE | (request.offload ? IFF_VNET_HDR : 0);
  TunDevice out;
  UniqueFd first = open_node();
  ifreq wanted = request_of(request.name, flags | IFF_TUN_EXCL);
  int error = set_interface(first.get(), wanted);
  out.was_there_ = error == EBUSY;
  if (out.was_there_) {
    wanted = request_of(request.name, flags);
    error = set_interface(first.get(), wanted);
    if (error == EINVAL && request.queues == 1) {
      wanted = request_of(request.name, flags &= ~IFF_MULTI_QUEUE);
      error = set_interface(first.get(), wanted);
    }
  }
  if (error != 0) fail_to_open(request.name, error, out.was_there_);
  // Without an owner any user who may open the node could add a queue of his own and read along.
  if (!out.was_there_ && ::ioctl(first.get(), TUNSETOWNER, static_cast<unsigned long>(::geteuid())) != 0)
    fail_to_open(request.name, errno, false);
  out.name_ = wanted.ifr_name;
  out.index_ = ::if_nametoindex(wanted.ifr_name);
  out.queues_.reserve(request.queues);
  out.queues_.emplace_back(std::move(first));
  while (out.queues_.size() < request.queues) {
    UniqueFd next = open_node();
    wanted = request_of(out.name_, flags);
    if ((error = set_interface(next.get(), wanted)) != 0) fail_to_open(out.name_, error, true);
    out.queues_.emplace_back(std::move(next));
  }
  if (out.was_there_ && read_facts(out.index_).queues.value_or(request.queues) > request.queues)
    fail_to_open(out.name_, EBUSY, true);
  out.headers_ = request.offload;
  out.find_out_features();
  return out;
}

TunDevice TunDevice::adopt(std::vector<UniqueFd> fds) {
  if (fds.empty()) fail("no descriptor of a tun device was handed over");
  TunDevice out;
  for (UniqueFd& fd : fds) {
    const std::string which = "descriptor " + std::to_string(fd.get());
    ifreq found{};
    if (::ioctl(fd.get(), TUNGETIFF, &found) != 0)
      fail(which + " is no tun device: " + reason(errno) + "; hand over one on which TUNSETIFF has been done");
    if ((found.ifr_flags & IFF_TUN) == 0) fail(which + " is a tap device, " + found.ifr_name + ": IFF_TUN is needed");
    const bool headers = (found.ifr_flags & IFF_VNET_HDR) != 0;
    if (!out.queues_.empty() && out.name_ != found.ifr_name)
      fail(which + " belongs to " + found.ifr_name + ", the one before to " + out.name_);
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) fail(which + ": " + reason(errno));
    out.name_ = found.ifr_name;
    out.headers_ = headers;
    out.queues_.emplace_back(std::move(fd));
  }
  out.index_ = ::if_nametoindex(out.name_.c_str());
  // Not by TUNGETIFF: there the bit of IFF_NO_PI stands for something else too (IFF_NOFILTER).
  if (read_facts(out.index_).packet_information)
    fail("four bytes stand before each packet of the tun device " + out.name_ + ": open it with IFF_NO_PI");
  out.was_there_ = out.adopted_ = true;
  out.find_out_features();
  return out;
}

void TunDevice::find_out_features() {
  const int fd = queues_.front().fd();
  const auto set_offload = [fd](unsigned features) { return ::ioctl(fd, TUNSETOFFLOAD, features) == 0; };
  if (!headers_) {
    set_offload(0);  // without a header nobody could tell that a checksum or a cut is missing
    return;
  }
  int header = OffloadHeader::kSize;
  if (::ioctl(fd, TUNSETVNETHDRSZ, &header) != 0)
    fail("the tun device " + name_ + " has no headers of 10 bytes: " + reason(errno));
  constexpr unsigned kTcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  udp_segmentation_ = set_offload(kTcp | kUso4 | kUso6);
  tcp_segmentation_ = udp_segmentation_ || set_offload(kTcp);
}

Result<void> TunDevice::persist(bool on) noexcept {
  if (::ioctl(queues_.front().fd(), TUNSETPERSIST, on ? 1 : 0) != 0) return last_system_error();
  return boost::system::in_place_value;
}

Result<void> TunDevice::steer() noexcept {
  if (queues_.size() == 1) return boost::system::in_place_value;
  const UniqueFd program = load_steering(queues_.size());
  if (!program) return last_system_error();
  int fd = program.get();
  if (::ioctl(queues_.front().fd(), TUNSETSTEERINGEBPF, &fd) != 0) return last_system_error();
  return boost::system::in_place_value;
}

}  // namespace gatehouse
