#include "plugins/packet-tunnel/common/sysctl.hpp"

#include "plugins/packet-tunnel/common/host_error.hpp"

#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace gatehouse::packet_tunnel {
namespace {

std::string path_of(const std::string& name) { return "/proc/sys/" + name; }

Result<void> write_file(const std::string& path, const std::string& value) noexcept {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), value.data(), value.size()) < 0) return last_system_error();
  return boost::system::in_place_value;
}

}  // namespace

std::optional<std::string> read_sysctl(const std::string& name) {
  const UniqueFd file(::open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 256> text;
  const ssize_t got = file ? ::read(file.get(), text.data(), text.size()) : -1;
  if (got < 0) return {};
  std::string out(text.data(), static_cast<std::size_t>(got));
  out.erase(out.find_last_not_of('\n') + 1);
  return out;
}

void write_sysctl(const std::string& name, const std::string& value) {
  const auto written = write_file(path_of(name), value);
  if (written) return;
  std::string said;
  if (written.error().value() == EROFS)
    said = "/proc/sys is mounted read-only: set it outside of the container, or start that with --sysctl";
  if (written.error().value() == ENOENT) said = "this kernel or host has no such setting";
  throw HostError("set " + path_of(name) + " to " + value, written.error(), said);
}

std::optional<std::string> SysctlChanges::set(const std::string& name, const std::string& value) {
  auto before = read_sysctl(name);
  if (before == value) return {};
  write_sysctl(name, value);
  const auto known = std::ranges::find(changes_, name, &Change::name);
  if (known != changes_.end())
    known->value = value;
  else
    changes_.push_back({name, before.value_or(""), value});
  return before.value_or("");
}

void SysctlChanges::restore() noexcept {
  while (!changes_.empty()) {
    const Change& change = changes_.back();
    if (read_sysctl(change.name) == change.value) (void)write_file(path_of(change.name), change.before);
    changes_.pop_back();
  }
}

}  // namespace gatehouse::packet_tunnel
