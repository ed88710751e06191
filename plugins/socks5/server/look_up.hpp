// One name that is being looked up, for resolver.cpp.
#pragma once

#include "plugins/socks5/server/resolver.hpp"

namespace gatehouse::socks5 {

class Resolver::LookUp final : public Readiness {
 public:
  LookUp(Resolver& owner, std::string_view name, std::string asker);
  ~LookUp() { close(); }

  [[nodiscard]] Result<void> start() { return ask(owner_.choose()); }
  void add(Waiter& waiter);
  /// Destroys this with the last one, unless it is over.
  void remove(Waiter& waiter) noexcept;
  [[nodiscard]] std::size_t waiters() const noexcept { return waiters_.size(); }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& asker() const noexcept { return asker_; }
  /// Nothing more comes: what came is the answer.
  void end();
  /// After end(): tells some who wait, `most` at most. How many that were.
  std::size_t tell(std::size_t most);

 private:
  static constexpr std::size_t kQuestions = 2;  // AAAA, A
  enum class State : std::uint8_t { open, answered, refused };

  void on_ready(std::uint32_t events) override;
  [[nodiscard]] Result<void> ask(Server* server);
  /// The server says nothing, or that it cannot.
  void try_next();
  bool take_answer(Bytes message);
  void timed_out();
  [[nodiscard]] bool has_found() const noexcept;
  void close() noexcept;

  Resolver& owner_;
  const std::string name_, asker_;
  std::vector<Waiter*> waiters_;
  UniqueFd socket_;
  LaneTimer timer_;
  Endpoint server_;
  unsigned tries_ = 0;
  std::array<std::vector<std::byte>, kQuestions> queries_;
  std::array<State, kQuestions> states_{};
  std::array<std::vector<std::byte>, kQuestions> replies_;
  std::array<std::vector<IpAddress>, kQuestions> found_;
  Addresses answer_;
  bool is_over_ = false;
};

}  // namespace gatehouse::socks5
