#include "db/store/store.hpp"

namespace gatehouse::db {
namespace {

class MemoryStore final : public Store {
 public:
  [[nodiscard]] const StoreOpening& opening() const noexcept override { return opening_; }
  [[nodiscard]] StoredState load(std::int64_t) override { return {}; }
  [[nodiscard]] Written write(const StoreBatch&) override { return Written::done; }
  std::chrono::milliseconds upkeep(std::int64_t) override { return std::chrono::hours(1); }
  void use_reserve() noexcept override {}
  void close() override {}

 private:
  const StoreOpening opening_{};
};

}  // namespace

std::unique_ptr<Store> open_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace gatehouse::db
