// The rules of gh.values/1 as tests, for any host: see store_host.hpp.
#pragma once

#include "tests/unit/conformance/store_host.hpp"

#include <optional>

namespace gatehouse::conformance {

class ValueConformance : public StoreTest {
 protected:
  static gh_status put(PluginHost& at, std::string_view name, std::string_view value,
                       std::uint32_t kind = GH_VALUE_PLAIN, const gh_completion* durable = nullptr) {
    return at.values().put(at.values().context, to_border(name), to_border(value), kind, durable);
  }
  gh_status put(std::string_view name, std::string_view value, std::uint32_t kind = GH_VALUE_PLAIN,
                const gh_completion* durable = nullptr) {
    return put(*plugin, name, value, kind, durable);
  }
  gh_status remove(std::string_view name) { return put(name, std::string_view()); }
  static std::optional<std::string> get(PluginHost& at, std::string_view name) {
    std::string out(4096, '\0');
    std::size_t size = 0;
    const gh_status status = at.values().get(at.values().context, to_border(name),
                                             reinterpret_cast<std::uint8_t*>(out.data()), out.size(), &size);
    if (status == GH_E_NOT_FOUND) return {};
    EXPECT_EQ(status, GH_OK);
    return out.substr(0, size);
  }
  std::optional<std::string> get(std::string_view name) { return get(*plugin, name); }
  static gh_status reserve(PluginHost& at, std::string_view name, std::uint64_t count, std::uint64_t& first,
                           const gh_completion* durable = nullptr) {
    return at.values().reserve(at.values().context, to_border(name), count, &first, durable);
  }
  /// The first of so many, or 0.
  std::uint64_t reserved(std::string_view name, std::uint64_t count) {
    std::uint64_t first = 0;
    return reserve(*plugin, name, count, first) == GH_OK ? first : 0;
  }
};

}  // namespace gatehouse::conformance
