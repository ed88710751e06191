// One client of one plugin as policy sees it. The lane's thread only.
#pragma once

#include "policy/limiter.hpp"
#include "policy/snapshot.hpp"

#include <array>
#include <memory>
#include <span>
#include <string>

namespace gatehouse {

class JudgedClient {
 public:
  struct Facts {
    std::string_view plugin;  ///< lives as long as the plugin's instance
    std::string listener;
    std::string identity;
    IpAddress source;
  };
  /// @param shared  the meters of its identity or source (KeyMeters), or null: then only session limits hold
  JudgedClient(Facts facts, std::shared_ptr<policy::Meters> shared);
  ~JudgedClient();
  JudgedClient(const JudgedClient&) = delete;
  JudgedClient& operator=(const JudgedClient&) = delete;

  /// Finds the group and the limits anew when `snapshot` is of another generation. Meters keep their state.
  void resolve(const policy::Snapshot& snapshot) noexcept {
    if (snapshot.generation() != generation_) resolve_anew(snapshot);
  }
  [[nodiscard]] policy::GroupIndex group() const noexcept { return group_; }
  /// Counts this session among those of its identity or source, once, after resolve().
  /// @return the limit that refuses it, or null
  [[nodiscard]] const policy::Limit* begin_session(const policy::Limits& limits) noexcept;
  /// Session first, then what it shares where there is that.
  [[nodiscard]] std::span<const policy::MeterLink> chain() const noexcept { return {chain_.data(), links_}; }
  [[nodiscard]] const IpAddress& source() const noexcept { return facts_.source; }
  [[nodiscard]] bool is_metered() const noexcept { return metered_; }
  [[nodiscard]] bool counts_destinations() const noexcept { return counts_destinations_; }

 private:
  void resolve_anew(const policy::Snapshot& snapshot) noexcept;

  const Facts facts_;
  const std::shared_ptr<policy::Meters> shared_;
  policy::Meters session_;
  policy::MeterLimits session_limits_, identity_limits_;
  std::array<policy::MeterLink, 2> chain_;
  const std::size_t links_;
  std::uint64_t generation_ = 0;
  policy::GroupIndex group_{};
  bool metered_ = false;
  bool counts_destinations_ = false;
  bool session_counted_ = false;
};

}  // namespace gatehouse
