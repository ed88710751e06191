#include "plugins/packet-tunnel/client/dns_setup.hpp"

#include "plugins/packet-tunnel/client/run_program.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/own_path.hpp>

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

namespace fs = std::filesystem;

constexpr char kFirstLine[] = "# Made by gatehouse-tunnel while the tunnel is up; what was here stands beside it.";
constexpr char kResolvedSocket[] = "/run/systemd/resolve/io.systemd.Resolve";

[[noreturn]] void fail(const fs::path& path) {
  throw std::runtime_error("the system's resolver cannot be changed in " + path.string() + ": " +
                           last_system_error().message() + "; --no-dns leaves it as it is");
}

std::string text_in(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_new(const fs::path& path, const std::string& text) {
  std::error_code ignored;
  fs::remove(path, ignored);
  const UniqueFd made = open_or_make(path, O_WRONLY, 0644);
  if (!made || ::fchmod(made.get(), 0644) != 0) fail(path);
  if (::write(made.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(made.get()) != 0)
    fail(path);
}

/// Where a container's runtime has mounted the file, only its content can be changed.
void put_in_place(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  if (errno != EBUSY && errno != EXDEV) fail(to);
  std::ofstream out(to, std::ios::trunc);
  out << text_in(from) << std::flush;
  if (!out) fail(to);
  std::error_code ignored;
  fs::remove(from, ignored);
}

}  // namespace

void ResolvConfReplacement::replace(const std::vector<IpAddress>& servers) const {
  std::error_code none;
  if (!is_replaced()) {
    if (fs::is_symlink(fs::symlink_status(file_, none))) {
      if (::symlink(fs::read_symlink(file_).c_str(), before_.c_str()) != 0) fail(before_);
    } else {
      write_new(before_, text_in(file_));
    }
  }
  std::string text = std::string(kFirstLine) + '\n';
  for (const IpAddress& server : servers) text += "nameserver " + server.to_string() + '\n';
  const fs::path next = file_.string() + ".gatehouse-tunnel";
  write_new(next, text);
  put_in_place(next, file_);
}

void ResolvConfReplacement::restore() const {
  if (!is_replaced()) return;
  std::error_code ignored;
  if (is_ours())
    put_in_place(before_, file_);
  else
    fs::remove(before_, ignored);
}

bool ResolvConfReplacement::is_replaced() const noexcept {
  std::error_code none;
  return fs::exists(fs::symlink_status(before_, none));
}

bool ResolvConfReplacement::is_ours() const { return text_in(file_).starts_with(kFirstLine); }

bool has_resolved() {
  std::error_code none;
  if (!fs::exists(kResolvedSocket, none)) return false;
  const ProgramEnd asked = run_program({"resolvectl", "--no-pager", "dns"});
  return asked.was_found && asked.code == 0;
}

void point_resolved_to(const std::string& device, const std::vector<IpAddress>& servers) {
  std::vector<std::string> dns = {"resolvectl", "dns", device};
  for (const IpAddress& server : servers) dns.push_back(server.to_string());
  for (const std::vector<std::string>& words :
       {dns, {"resolvectl", "domain", device, "~."}, {"resolvectl", "default-route", device, "yes"}}) {
    const ProgramEnd done = run_program(words);
    if (done.code != 0)
      throw std::runtime_error("`resolvectl " + words[1] + ' ' + device + "` failed: " + done.output +
                               "; --no-dns leaves the system's resolver as it is");
  }
}

}  // namespace gatehouse::packet_tunnel
