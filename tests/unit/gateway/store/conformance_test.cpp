// The border's rules for sessions and values, held against the gateway's tables and writer.
#include "gateway/store/store_writer.hpp"
#include "tests/unit/conformance/session_conformance.hpp"
#include "tests/unit/conformance/value_conformance.hpp"
#include "tests/unit/gateway/store/fake_disk.hpp"
#include "tests/unit/gateway/store/gateway_plugin.hpp"

namespace gatehouse::conformance {
namespace {

class GatewayHost final : public StoreHost {
 public:
  GatewayHost() { start(); }
  ~GatewayHost() override { stall(false); }
  std::unique_ptr<PluginHost> plugin(const std::string& name) override {
    return std::make_unique<GatewayPlugin>(*writer_, name);
  }
  void flush() override { ASSERT_TRUE(writer_->flush(StoreWriter::Clock::now() + std::chrono::seconds(5))); }
  void stall(bool stalled) override { disk_->hang(stalled); }
  bool fail(bool failing) override {
    writer_->set_on_failure(OnStoreFailure::no_new);
    disk_->fail_with(failing ? std::optional(db::StoreError::Kind::io) : std::nullopt);
    return true;
  }
  void crash() override {
    const auto snapshot = disk_->copy();  // what a write under way does later is not seen by the next process
    disk_->hang(false);
    writer_.reset();
    disk_ = snapshot;
    start();
  }
  void pass(std::chrono::seconds time) override { time_passed += time.count(); }
  std::uint64_t now() override { return static_cast<std::uint64_t>(test_now()); }

 private:
  void start() {
    writer_ = std::make_unique<StoreWriter>(std::make_unique<FakeDiskStore>(disk_), OnStoreFailure::serve,
                                            StoreEvents{}, &test_now);
  }
  std::shared_ptr<FakeDisk> disk_ = std::make_shared<FakeDisk>();
  std::unique_ptr<StoreWriter> writer_;
};

std::unique_ptr<StoreHost> make_gateway_host() { return std::make_unique<GatewayHost>(); }

INSTANTIATE_TEST_SUITE_P(Gateway, SessionConformance, testing::Values(&make_gateway_host));
INSTANTIATE_TEST_SUITE_P(Gateway, ValueConformance, testing::Values(&make_gateway_host));

}  // namespace
}  // namespace gatehouse::conformance
