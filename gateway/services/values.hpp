// gh.values/1: what the border's calls come to in the table of values.
#pragma once

#include "gateway/store/value_table.hpp"

#include <gatehouse/abi.h>

#include <cstdint>
#include <memory>
#include <string>

namespace gatehouse {

/// One instance's view of its plugin's values.
class PluginValues {
 public:
  PluginValues(std::shared_ptr<ValueTable> all, std::shared_ptr<Durability> durability, std::string plugin);
  ~PluginValues();
  PluginValues(const PluginValues&) = delete;
  PluginValues& operator=(const PluginValues&) = delete;
  [[nodiscard]] const gh_values* table() const noexcept { return &table_; }
  /// No completion comes any more when this returns.
  void let_go() noexcept { requester_->close(); }

 private:
  static PluginValues& of(void* context) noexcept { return *static_cast<PluginValues*>(context); }
  gh_status get(gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size) noexcept;
  gh_status put(gh_bytes name, gh_bytes value, std::uint32_t kind, const gh_completion* durable) noexcept;
  gh_status reserve(gh_bytes name, std::uint64_t count, std::uint64_t* first, const gh_completion* durable) noexcept;

  const std::shared_ptr<ValueTable> all_;
  const std::shared_ptr<Durability> durability_;
  const std::shared_ptr<Requester> requester_ = std::make_shared<Requester>();
  const std::string plugin_;
  gh_values table_;
};

}  // namespace gatehouse
