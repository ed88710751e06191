#include "plugins/geneve-relay/fast_path/fast_path.hpp"

#include "plugins/geneve-relay/fast_path/interfaces.hpp"
#include "plugins/geneve-relay/fast_path/next_hops.hpp"
#include "plugins/geneve-relay/fast_path/refusal.hpp"
#include "plugins/geneve-relay/fast_path/relay_object.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/mman.h>
#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cerrno>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kVerifierLog = std::size_t{64} * 1024;

/// What libbpf's macro makes, which is no C++.
template <class Options>
Options options_of() noexcept {
  Options out{};
  out.sz = sizeof out;
  return out;
}

std::string last_line(std::string_view log) {
  log = log.substr(0, log.find('\0'));
  while (!log.empty() && log.back() == '\n') log.remove_suffix(1);
  const auto before = log.rfind('\n');
  return std::string(before == std::string_view::npos ? log : log.substr(before + 1));
}

std::optional<HoldingProgram> holder_of(unsigned index) {
  auto found = options_of<bpf_xdp_query_opts>();
  if (bpf_xdp_query(static_cast<int>(index), 0, &found) != 0) return std::nullopt;
  HoldingProgram out{found.prog_id != 0 ? found.prog_id : std::max(found.drv_prog_id, found.skb_prog_id), {}};
  if (out.id == 0) return std::nullopt;
  const UniqueFd program(bpf_prog_get_fd_by_id(out.id));
  bpf_prog_info facts{};
  std::uint32_t size = sizeof facts;
  if (program && bpf_obj_get_info_by_fd(program.get(), &facts, &size) == 0) out.name = facts.name;
  return out;
}

/// Of a link that was ended, or whose interface is gone: none.
std::uint32_t interface_of(const UniqueFd& link) noexcept {
  bpf_link_info facts{};
  std::uint32_t size = sizeof facts;
  const bool is_known =
      link && bpf_obj_get_info_by_fd(link.get(), &facts, &size) == 0 && facts.type == BPF_LINK_TYPE_XDP;
  return is_known ? facts.xdp.ifindex : 0;
}

gh_fast_words* map_words(int map) {
  void* const at = ::mmap(nullptr, sizeof(gh_fast_words), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
  if (at == MAP_FAILED) throw FastPathError(load_refusal(errno, {}));
  return static_cast<gh_fast_words*>(at);
}

}  // namespace

/// An interface, and the link that keeps the program on it.
struct FastPath::Attached {
  explicit Attached(const std::string& name) { interface.name = name; }
  Attached(Attached&&) = default;
  Attached& operator=(Attached&& other) noexcept {
    end();
    interface = std::move(other.interface);
    index = other.index;
    link = std::move(other.link);
    return *this;
  }
  ~Attached() { end(); }

  /// The host may have the link, too (links()).
  void end() noexcept { end_links({&link, 1}); }

  FastInterface interface;
  unsigned index = 0;
  UniqueFd link;
};

std::string FastInterface::to_string() const {
  if (mode == FastMode::off) return "not on " + name + ": " + why;
  return (mode == FastMode::native ? "native on " : "generic on ") + name + (why.empty() ? "" : " (" + why + ")");
}

std::string_view to_text(gh_fast_count what) noexcept {
  switch (what) {
    case GH_FAST_RELAYED: return "relayed";
    case GH_FAST_NOT_DATA: return "not_data";
    case GH_FAST_UNKNOWN: return "unknown";
    case GH_FAST_LENGTH: return "length";
    case GH_FAST_PARTIAL_CHECKSUM: return "partial_checksum";
    case GH_FAST_NO_CHECKSUM: return "no_checksum";
    case GH_FAST_SILENT_LANE: return "silent_lane";
    case GH_FAST_STACK_TURN: return "stack_turn";
    case GH_FAST_TOO_BIG: return "too_big";
    case GH_FAST_NO_FORWARDING: return "no_forwarding";
    case GH_FAST_NO_NEIGHBOUR: return "no_neighbour";
    case GH_FAST_NO_ROUTE: return "no_route";
    case GH_FAST_NO_DEVICE: return "no_device";
    case GH_FAST_COUNTS: break;
  }
  return "unknown_count";
}

void end_links(std::span<const UniqueFd> links) noexcept {
  for (const UniqueFd& link : links)
    if (interface_of(link) != 0) bpf_link_detach(link.get());
}

void FastPath::CloseObject::operator()(bpf_object* object) const noexcept { bpf_object__close(object); }
void FastPath::Unmap::operator()(gh_fast_words* words) const noexcept { ::munmap(words, sizeof *words); }

FastPath::FastPath(std::size_t most_endpoints) {
  const Bytes program = relay_object();
  if (program.empty())
    throw FastPathError(
        "this gateway was built without the program for the kernel, since clang was missing: install clang "
        "(scripts/deps.sh does), configure and build anew");

  libbpf_set_print(nullptr);  // what it has to say is said here
  std::string log(kVerifierLog, '\0');
  auto options = options_of<bpf_object_open_opts>();
  options.object_name = "gh_relay";
  options.kernel_log_buf = log.data();
  options.kernel_log_size = log.size();
  object_.reset(bpf_object__open_mem(program.data(), program.size(), &options));
  if (!object_) throw FastPathError(load_refusal(errno, {}));
  if (bpf_object__load(object_.get()) != 0) {
    const int error = errno;
    throw FastPathError(load_refusal(error, last_line(log)));
  }
  present_legs_ = map("present_legs");
  counts_ = map("counts");
  all_devices_ = map("all_devices");
  native_devices_ = map("native_devices");
  native_program_ = program_of("gh_relay_native");
  generic_program_ = program_of("gh_relay_skb");
  words_.reset(map_words(map(".bss")));
  make_room(most_endpoints);

  for (const Family family : {Family::v4, Family::v6})
    if (auto note = allow_next_hops(family); !note.empty()) notes_.push_back(std::move(note));
}

FastPath::~FastPath() = default;

int FastPath::map(const char* name) const { return bpf_object__find_map_fd_by_name(object_.get(), name); }

int FastPath::program_of(const char* name) const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_.get(), name));
}

// ---- interfaces

Result<void> FastPath::set_ports(std::span<const std::uint16_t> ports) noexcept {
  if (ports.size() > GH_FAST_MOST_PORTS || std::find(ports.begin(), ports.end(), 0) != ports.end())
    return Errc::invalid;
  for (std::size_t at = 0; at < GH_FAST_MOST_PORTS; ++at)
    std::atomic_ref(words_->ports[at]).store(at < ports.size() ? boost::endian::native_to_big(ports[at]) : __be16{0});
  return boost::system::in_place_value;
}

FastInterface FastPath::attach(const std::string& interface, AttachWish wish) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  auto at = std::find_if(attached_.begin(), attached_.end(),
                         [&](const Attached& one) { return one.interface.name == interface; });
  if (at == attached_.end()) at = attached_.emplace(at, interface);
  if (index != 0 && interface_of(at->link) == index) return at->interface;

  *at = Attached(interface);
  at->index = index;
  if (index == 0)
    at->interface.why = attach_refusal(interface, ENODEV, {});
  else
    attach_by(*at, wish);
  return at->interface;
}

void FastPath::attach_by(Attached& to, AttachWish wish) {
  const std::string& name = to.interface.name;
  int error = EOPNOTSUPP;
  if (wish == AttachWish::automatic && driver_of(name) == "veth") {
    wish = AttachWish::generic;
    to.interface.why = "the far end of a veth takes nothing from a native program unless it has one of its own";
  }
  if (wish != AttachWish::generic) {
    error = link(to, FastMode::native);
    if (error == 0) return;
    if (wish == AttachWish::native) {
      to.interface.why = error == EBUSY || error == EEXIST ? attach_refusal(name, error, holder_of(to.index))
                                                           : native_refusal(name, error);
      return;
    }
    to.interface.why = native_refusal(name, error);
  }
  error = link(to, FastMode::generic);
  if (error != 0) to.interface.why = attach_refusal(name, error, holder_of(to.index));
}

int FastPath::link(Attached& to, FastMode mode) noexcept {
  const bool is_native = mode == FastMode::native;
  auto options = options_of<bpf_link_create_opts>();
  options.flags = is_native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  UniqueFd made(
      bpf_link_create(is_native ? native_program_ : generic_program_, static_cast<int>(to.index), BPF_XDP, &options));
  if (!made) return errno;
  // Without these packets that leave by this interface go by way of user space: a pity, and no fault.
  bpf_map_update_elem(all_devices_, &to.index, &to.index, BPF_ANY);
  if (is_native) bpf_map_update_elem(native_devices_, &to.index, &to.index, BPF_ANY);
  to.link = std::move(made);
  to.interface.mode = mode;
  return 0;
}

void FastPath::detach(const std::string& interface) noexcept {
  const auto at = std::find_if(attached_.begin(), attached_.end(),
                               [&](const Attached& one) { return one.interface.name == interface; });
  if (at == attached_.end()) return;
  bpf_map_delete_elem(all_devices_, &at->index);
  bpf_map_delete_elem(native_devices_, &at->index);
  attached_.erase(at);
}

std::vector<int> FastPath::links() const {
  std::vector<int> out;
  for (const Attached& one : attached_)
    if (one.link) out.push_back(one.link.get());
  return out;
}

std::string FastPath::describe() const {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : "; ") + text; };
  for (const Attached& one : attached_) add(one.interface.to_string());
  for (const std::string& note : notes_) add(note);
  return out;
}

// ---- legs

std::shared_ptr<const LegMap> FastPath::legs() const {
  const std::scoped_lock lock(mutex_);
  return legs_;
}

void FastPath::make_room(std::size_t most_endpoints) {
  if (legs_ && legs_->most_endpoints() >= most_endpoints) return;
  auto larger = std::make_shared<const LegMap>(most_endpoints);
  const std::uint32_t zero = 0;
  const int fd = larger->fd();
  if (bpf_map_update_elem(present_legs_, &zero, &fd, BPF_ANY) != 0) throw FastPathError(load_refusal(errno, {}));
  const std::scoped_lock lock(mutex_);
  legs_ = std::move(larger);
  legs_number_.fetch_add(1, std::memory_order_release);
}

void FastPath::beat(std::uint32_t lane, SteadyTime now) noexcept {
  std::atomic_ref(words_->beats[lane % GH_FAST_MOST_LANES]).store(to_ns(now), std::memory_order_relaxed);
}

FastTotals FastPath::totals() const {
  const int cpus = libbpf_num_possible_cpus();
  std::vector<gh_fast_counts> each(static_cast<std::size_t>(std::max(cpus, 1)));
  const std::uint32_t zero = 0;
  FastTotals out;
  if (cpus < 1 || bpf_map_lookup_elem(counts_, &zero, each.data()) != 0) return out;
  for (const gh_fast_counts& one : each)
    for (std::size_t what = 0; what < GH_FAST_COUNTS; ++what) out.packets[what] += one.packets[what];
  for (const gh_fast_counts& one : each) out.bytes += one.bytes;
  return out;
}

}  // namespace gatehouse::geneve_relay
