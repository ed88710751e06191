#include "plugins/packet-tunnel/client/state_file.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/own_path.hpp>

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace gatehouse::packet_tunnel {
namespace {

using Json = nlohmann::json;

constexpr int kLooks = 50;
constexpr timespec kBetweenLooks{0, 10 * 1000 * 1000};  // 10 ms

Json to_json(const RoutingRule& rule) {
  Json out = {{"family", rule.family == Family::v4 ? 4 : 6}, {"priority", rule.priority}, {"table", rule.table}};
  if (rule.mark) out["mark"] = *rule.mark;
  if (rule.invert) out["invert"] = true;
  if (rule.to) out["to"] = rule.to->to_string();
  if (rule.suppress_length) out["suppress_length"] = *rule.suppress_length;
  return out;
}

RoutingRule rule_from(const Json& json) {
  RoutingRule out;
  out.family = json.at("family").get<int>() == 4 ? Family::v4 : Family::v6;
  out.priority = json.at("priority").get<std::uint32_t>();
  out.table = json.at("table").get<std::uint32_t>();
  if (json.contains("mark")) out.mark = json["mark"].get<std::uint32_t>();
  out.invert = json.value("invert", false);
  if (json.contains("to"))
    if (const auto to = Prefix::parse(json["to"].get<std::string>())) out.to = *to;
  if (json.contains("suppress_length")) out.suppress_length = json["suppress_length"].get<std::uint32_t>();
  return out;
}

[[noreturn]] void fail(const std::filesystem::path& path) {
  throw std::runtime_error("what is changed of the host cannot be written down in " + path.string() + ": " +
                           last_system_error().message() + "; name another folder with --state-dir");
}

}  // namespace

std::string HostChanges::to_json() const {
  Json out = {{"table", number},
              {"rules", Json::array()},
              {"marks_connections", marks_connections},
              {"src_valid_mark_before", source_mark_before},
              {"resolv_conf", resolv_conf.string()},
              {"is_blocked", is_blocked},
              {"servers", Json::object()}};
  for (const RoutingRule& rule : rules) out["rules"].push_back(packet_tunnel::to_json(rule));
  for (const auto& [name, addresses] : known) {
    Json& list = out["servers"][name] = Json::array();
    for (const IpAddress& address : addresses) list.push_back(address.to_string());
  }
  return out.dump(1) + '\n';
}

HostChanges HostChanges::from_json(const std::string& text) {
  HostChanges out;
  try {
    const Json json = Json::parse(text);
    out.number = json.value("table", std::uint32_t{0});
    out.marks_connections = json.value("marks_connections", false);
    out.source_mark_before = json.value("src_valid_mark_before", "");
    out.resolv_conf = json.value("resolv_conf", "");
    out.is_blocked = json.value("is_blocked", false);
    for (const Json& rule : json.at("rules")) out.rules.push_back(rule_from(rule));
    for (const auto& [name, list] : json.at("servers").items())
      for (const Json& one : list)
        if (const auto address = IpAddress::parse(one.get<std::string>())) out.known[name].push_back(*address);
  } catch (const Json::exception&) {  // of another version, or cut
  }
  return out;
}

StateFile::StateFile(const std::filesystem::path& dir, const std::string& device)
    : dir_(dir), file_(dir / (device + ".json")) {
  std::error_code ignored;
  std::filesystem::create_directories(dir, ignored);
  if (const std::string why = why_not_own(dir); !why.empty()) throw std::runtime_error(why);
  lock_ = lock(device);
  if (!lock_)
    throw std::runtime_error("another gatehouse-tunnel has the device " + device +
                             " already; stop it, or name another with --device");
}

UniqueFd StateFile::try_lock(const std::string& name) const {
  const std::filesystem::path path = dir_ / (name + ".lock");
  UniqueFd out = open_or_make(path, O_RDWR, 0600);
  if (!out) fail(path);
  if (::flock(out.get(), LOCK_EX | LOCK_NB) != 0) return {};
  return out;
}

UniqueFd StateFile::lock(const std::string& name) const {
  UniqueFd out = try_lock(name);
  for (int looks = kLooks; !out && looks > 0;
       --looks) {  // one that was killed is not quite gone when its parent is told
    ::nanosleep(&kBetweenLooks, nullptr);
    out = try_lock(name);
  }
  return out;
}

HostChanges StateFile::load() const {
  std::ifstream in(file_);
  if (!in) return {};
  std::ostringstream text;
  text << in.rdbuf();
  return HostChanges::from_json(text.str());
}

void StateFile::save(const HostChanges& changes) const {
  const std::filesystem::path next = file_.string() + ".new";
  std::filesystem::remove(next);
  const UniqueFd made = open_or_make(next, O_WRONLY, 0600);
  const std::string text = changes.to_json();
  if (!made || ::write(made.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) fail(next);
  if (::rename(next.c_str(), file_.c_str()) != 0) fail(file_);
}

void StateFile::remove() const noexcept {
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
}

}  // namespace gatehouse::packet_tunnel
