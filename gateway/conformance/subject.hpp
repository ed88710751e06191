// The plugin under test, and what every step makes of it.
#pragma once

#include <gatehouse/testkit/fake_host.hpp>

#include "gateway/conformance/notes.hpp"
#include "gateway/conformance/watched_host.hpp"
#include "gateway/plugin/loader.hpp"

#include <string>
#include <string_view>

namespace gatehouse::conformance {

/// What is checked; the copy is there as long as the check runs.
struct Subject {
  TrustedFile file;
  Json options = Json::object();  ///< over the schema's defaults
};

/// A function of the plugin has failed, as it may.
struct Answer {
  gh_status status = GH_OK;
  std::string why;
  [[nodiscard]] bool ok() const noexcept { return status >= GH_OK; }
};

/// A plugin, loaded in this process, and a host for it. One thread.
class Rig {
 public:
  /// @throws Refusal
  Rig(const Subject& subject, Notes& notes);

  [[nodiscard]] const gh_manifest& manifest() const noexcept { return *plugin.manifest; }
  [[nodiscard]] const gh_plugin_ops& ops() const noexcept { return *plugin.manifest->ops; }

  /// create(), with the fake host's own instance.
  [[nodiscard]] Answer create(gh_instance*& out);
  [[nodiscard]] Answer configure(gh_instance* instance, std::string_view options, std::uint32_t flags);
  /// create(), one configure() and destroy().
  [[nodiscard]] Answer try_options(std::string_view options, std::uint32_t flags);
  /// Says `silent_refusal` where it failed without a word. @param call  "configure()"
  void require_words(const Answer& answer, std::string_view call);

  Notes& notes;
  const LoadedPlugin plugin;
  WatchedHost watched;  // before the host, which has its tables in hand
  testkit::FakeHost host;
  Json options;  ///< complete
};

}  // namespace gatehouse::conformance
