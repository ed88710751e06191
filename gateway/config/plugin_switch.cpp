#include "gateway/config/plugin_switch.hpp"

#include "gateway/config/config_tree.hpp"

#include <gatehouse/base/error.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <map>
#include <stdexcept>

namespace gatehouse {
namespace {

constexpr const char* kHeader = "# Written by `gatehouse plugin enable|disable`.\n";

std::filesystem::path switch_file(const std::filesystem::path& config_file) {
  return drop_in_folder(config_file) / "90-plugins.toml";
}

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& why) {
  throw std::runtime_error(file.string() + ": " + why);
}

std::map<std::string, bool> read_switches(const std::filesystem::path& file) {
  std::map<std::string, bool> out;
  if (!std::filesystem::exists(file)) return out;
  std::vector<ConfigProblem> problems;
  const ConfigValue root = read_toml_file(file, problems);
  if (!problems.empty()) throw std::runtime_error(problems.front().to_string());
  const auto refuse = [&] {
    fail(file, "holds more than plugin switches; move the rest to another file of that folder");
  };
  for (const ConfigValue& top : root.children) {
    if (top.key != "plugin" || top.kind != ConfigValue::Kind::table) refuse();
    for (const ConfigValue& plugin : top.children) {
      const ConfigValue* enabled = plugin.find("enabled");
      if (plugin.children.size() != 1 || enabled == nullptr || enabled->kind != ConfigValue::Kind::boolean) refuse();
      out[plugin.key] = enabled->boolean;
    }
  }
  return out;
}

void write_atomically(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  const std::filesystem::path draft = file.string() + ".new";
  std::filesystem::remove(draft);  // of a writing that did not come to its end
  const UniqueFd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!fd) fail(draft, "cannot be written (" + last_system_error().message() + ")");
  const bool written = ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd.get()) == 0 && ::rename(draft.c_str(), file.c_str()) == 0;
  if (!written) fail(file, "cannot be written (" + last_system_error().message() + ")");
  const UniqueFd folder(::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) ::fsync(folder.get());
}

}  // namespace

std::optional<bool> plugin_switch(const std::filesystem::path& config_file, const std::string& plugin) {
  const std::map<std::string, bool> switches = read_switches(switch_file(config_file));
  const auto found = switches.find(plugin);
  return found == switches.end() ? std::nullopt : std::optional(found->second);
}

std::filesystem::path switch_plugin(const std::filesystem::path& config_file, const std::string& plugin,
                                    std::optional<bool> enabled) {
  const std::filesystem::path file = switch_file(config_file);
  std::map<std::string, bool> switches = read_switches(file);
  if (enabled) {
    switches[plugin] = *enabled;
  } else {
    switches.erase(plugin);
  }
  std::string text = kHeader;
  for (const auto& [name, on] : switches) {
    text += "[plugin." + name + "]\nenabled = " + (on ? "true" : "false") + "\n";
  }
  write_atomically(file, text);
  return file;
}

}  // namespace gatehouse
