#include "gateway/conformance/life.hpp"
#include "gateway/conformance/steps.hpp"

namespace gatehouse::conformance {
namespace {

constexpr LifePlan kRefused{.load = std::chrono::milliseconds(60), .in_order = false};

}  // namespace

void check_load(const Subject& subject, Notes& notes) {
  Rig rig(subject, notes);
  live(rig, {});
  notes.fact("called", rig.watched.called());
}

void check_later_host(const Subject& subject, Notes& notes) {
  Rig rig(subject, notes);
  rig.host.pretend_later_minor();
  rig.watched.pretend_later_minor();
  live(rig, {.load = std::chrono::milliseconds(100), .of_refusal = "later_host"});
}

void check_withheld(const Subject& subject, const std::string& interface, Notes& notes) {
  Rig rig(subject, notes);
  rig.watched.withhold(interface);
  live(rig, kRefused);
}

void check_host_failure(const Subject& subject, const std::string& function, Notes& notes) {
  Rig rig(subject, notes);
  rig.watched.fail_once(function);
  live(rig, kRefused);
}

}  // namespace gatehouse::conformance
