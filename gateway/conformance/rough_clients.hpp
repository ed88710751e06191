// Clients that send whatever comes to mind to a plugin's listeners, and end as they like.
#pragma once

#include <gatehouse/base/address.hpp>
#include <gatehouse/base/unique_fd.hpp>

#include <atomic>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace gatehouse::conformance {

/// Where a listener is.
struct Target {
  std::uint32_t transport = 0;  ///< GH_TRANSPORT_*
  Endpoint address;             ///< of TCP and UDP
  std::filesystem::path path;   ///< of a Unix one
};

/// A thread of its own, from construction to destruction. The bytes are random, and the same in each run.
class RoughClients {
 public:
  /// @param word   the plugin's name, which HTTP openings ask for
  /// @param token  that some of them show
  RoughClients(std::vector<Target> targets, std::string word, std::string token);
  ~RoughClients();
  RoughClients(const RoughClients&) = delete;
  RoughClients& operator=(const RoughClients&) = delete;

  /// Connections that were made so far, and datagrams that were sent.
  [[nodiscard]] std::uint64_t attempts() const noexcept { return attempts_; }

 private:
  struct Open {
    UniqueFd fd;
    bool is_stream = false;
  };
  void run();
  void stay(const Target& target);
  void visit(const Target& target);
  void go_on(Open& client);
  [[nodiscard]] UniqueFd connect(const Target& target) const;
  [[nodiscard]] std::string beginning();
  [[nodiscard]] std::string noise();
  [[nodiscard]] std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

  const std::vector<Target> targets_;
  const std::string word_, token_;
  std::mt19937 random_{4711};
  std::vector<UniqueFd> silent_;  // one of each stream listener that says one byte, and stays to the end
  std::vector<Open> open_;
  std::atomic<std::uint64_t> attempts_{0};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace gatehouse::conformance
