#include "plugins/geneve-relay/fast_path/fast_path.hpp"

#include "plugins/geneve-relay/fast_path/interfaces.hpp"
#include "plugins/geneve-relay/fast_path/next_hops.hpp"
#include "plugins/geneve-relay/fast_path/refusal.hpp"
#include "plugins/geneve-relay/fast_path/relay_object.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <boost/endian/conversion.hpp>

#include <algorithm>
#include <cerrno>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::size_t kMostLegs = std::size_t{2} << 24;  // of every VNI
constexpr std::size_t kVerifierLog = std::size_t{64} * 1024;
constexpr std::uint32_t kBatch = 512;

/// What libbpf's macro makes, which is no C++.
template <class Options>
Options options_of() noexcept {
  Options out{};
  out.sz = sizeof out;
  return out;
}

/// The error of the call that has just failed (errno), as the caller of a map sees it.
Error map_error() noexcept {
  switch (errno) {
    case ENOENT: return Errc::not_found;
    case EEXIST: return Errc::exists;
    case E2BIG:
    case ENOMEM: return Errc::limit;
    default: return last_system_error();
  }
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

/// Whether the interface that a link was made for is still there.
bool is_alive(const UniqueFd& link) noexcept {
  bpf_link_info facts{};
  std::uint32_t size = sizeof facts;
  return link && bpf_obj_get_info_by_fd(link.get(), &facts, &size) == 0 && facts.xdp.ifindex != 0;
}

}  // namespace

/// An interface, and the link that keeps the program on it.
struct FastPath::Attached {
  explicit Attached(const std::string& name) { interface.name = name; }

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

void FastPath::CloseObject::operator()(bpf_object* object) const noexcept { bpf_object__close(object); }

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
  const std::size_t legs = std::clamp(most_endpoints, std::size_t{1}, kMostLegs / 2) * 2;
  bpf_map__set_max_entries(bpf_object__find_map_by_name(object_.get(), "legs"), static_cast<std::uint32_t>(legs));
  if (bpf_object__load(object_.get()) != 0) {
    const int error = errno;
    throw FastPathError(load_refusal(error, last_line(log)));
  }
  legs_ = map("legs");
  counts_ = map("counts");
  ports_ = map(".bss");
  all_devices_ = map("all_devices");
  native_devices_ = map("native_devices");
  native_program_ = program_of("gh_relay_native");
  generic_program_ = program_of("gh_relay_skb");

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
  std::array<__be16, GH_FAST_MOST_PORTS> words{};
  std::transform(ports.begin(), ports.end(), words.begin(), boost::endian::native_to_big<std::uint16_t>);
  const std::uint32_t zero = 0;
  if (bpf_map_update_elem(ports_, &zero, words.data(), BPF_ANY) != 0) return map_error();
  return boost::system::in_place_value;
}

FastInterface FastPath::attach(const std::string& interface, AttachWish wish) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  auto at = std::find_if(attached_.begin(), attached_.end(),
                         [&](const Attached& one) { return one.interface.name == interface; });
  if (at == attached_.end()) at = attached_.emplace(at, interface);
  if (at->index == index && is_alive(at->link)) return at->interface;

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

std::vector<FastInterface> FastPath::interfaces() const {
  std::vector<FastInterface> out;
  for (const Attached& one : attached_) out.push_back(one.interface);
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

Result<void> FastPath::put(const FastKey& key, const FastTarget& target, SteadyTime now) noexcept {
  const auto at = to_map_key(key);
  if (!at) return at.error();
  const auto entry = to_map_entry(key, target, now);
  if (!entry) return entry.error();
  if (bpf_map_update_elem(legs_, &*at, &*entry, BPF_NOEXIST) != 0) return map_error();
  return boost::system::in_place_value;
}

Result<FastUse> FastPath::erase(const FastKey& key) noexcept {
  const auto at = to_map_key(key);
  if (!at) return Errc::not_found;
  gh_fast_entry entry;
  if (bpf_map_lookup_and_delete_elem(legs_, &*at, &entry) != 0) return map_error();
  return use_of(entry);
}

Result<FastUse> FastPath::read(const FastKey& key) const noexcept {
  const auto at = to_map_key(key);
  if (!at) return Errc::not_found;
  gh_fast_entry entry;
  if (bpf_map_lookup_elem(legs_, &*at, &entry) != 0) return map_error();
  return use_of(entry);
}

void FastPath::for_each(const std::function<void(const FastKey&, const FastUse&)>& visit) const {
  std::vector<gh_fast_key> keys(kBatch);
  std::vector<gh_fast_entry> entries(kBatch);
  std::uint32_t position = 0, next = 0;
  void* from = nullptr;  // the beginning
  for (bool is_over = false; !is_over;) {
    auto count = static_cast<std::uint32_t>(keys.size());
    if (bpf_map_lookup_batch(legs_, from, &next, keys.data(), entries.data(), &count, nullptr) != 0) {
      if (errno == ENOSPC) {  // more legs of one hash than there is room for
        keys.resize(keys.size() * 2);
        entries.resize(entries.size() * 2);
        continue;
      }
      is_over = true;
      if (errno != ENOENT) return;  // else the last ones
    }
    for (std::uint32_t index = 0; index < count; ++index) visit(from_map_key(keys[index]), use_of(entries[index]));
    position = next;
    from = &position;
  }
}

FastTotals FastPath::totals() const {
  const int cpus = libbpf_num_possible_cpus();
  std::vector<gh_fast_counts> each(static_cast<std::size_t>(std::max(cpus, 1)));
  const std::uint32_t zero = 0;
  FastTotals out;
  if (cpus < 1 || bpf_map_lookup_elem(counts_, &zero, each.data()) != 0) return out;
  for (const gh_fast_counts& one : each)
    for (std::size_t what = 0; what < GH_FAST_COUNTS; ++what) out.packets[what] += one.packets[what];
  return out;
}

}  // namespace gatehouse::geneve_relay
