#include "gateway/conformance/process_state.hpp"
#include "gateway/conformance/steps.hpp"

#include <array>
#include <filesystem>

namespace gatehouse::conformance {
namespace {

/// Where each step works: nobody else writes there.
std::string first_file_here() {
  std::error_code failure;
  const std::filesystem::directory_iterator here(".", failure);
  return failure || here == end(here) ? "" : here->path().filename().string();
}

/// Grew from each look to the next.
bool grows(const std::array<std::uint64_t, 4>& looks, std::uint64_t least) {
  for (std::size_t i = 1; i < looks.size(); ++i)
    if (looks[i] < looks[i - 1] + least) return false;
  return true;
}

constexpr unsigned kCycles = 200, kSegment = 50;

/// One look at the end of each segment, the first of which warms up.
class Growth {
 public:
  void look() {
    const MemoryState now = memory_state();
    allocated_.at(count_) = now.allocated;
    mapped_.at(count_) = now.mapped;
    ++count_;
  }
  void tell(Notes& notes) const {
    constexpr std::uint64_t kPage = 4096;
    if (grows(allocated_, kSegment * 8)) return say(notes, allocated_, "the heap");
    if (grows(mapped_, kSegment * kPage)) say(notes, mapped_, "its address space");
  }

 private:
  static void say(Notes& notes, const std::array<std::uint64_t, 4>& looks, const std::string& what) {
    const std::uint64_t bytes = (looks[3] - looks[0]) / (kCycles - kSegment);
    notes.found("leaked_memory",
                what + " grows by " + std::to_string(bytes) + " bytes with each create(), configure() and destroy()");
  }
  std::array<std::uint64_t, 4> allocated_{}, mapped_{};
  std::size_t count_ = 0;
};

}  // namespace

void check_dry_run(const Subject& subject, Notes& notes) {
  Rig rig(subject, notes);
  notes.phase("it is created");
  gh_instance* instance = nullptr;
  const Answer created = rig.create(instance);
  rig.require_words(created, "create()");
  if (!created.ok()) return notes.found("default_refused", "create() fails: " + created.why);
  const ProcessState before = process_state();
  notes.phase("it is configured with GH_CONFIGURE_CHECK");
  static_cast<void>(rig.configure(instance, rig.options.dump(), GH_CONFIGURE_CHECK));
  const ProcessState after = process_state();
  if (const std::string opened = new_descriptors(before, after); !opened.empty())
    notes.found("dry_run_effect", "a dry-run configure() opens " + opened);
  if (after.threads > before.threads) notes.found("dry_run_effect", "a dry-run configure() begins a thread");
  if (const std::string file = first_file_here(); !file.empty())
    notes.found("dry_run_effect", "a dry-run configure() writes the file " + file);
  notes.phase("it is destroyed");
  rig.ops().destroy(instance);
}

void check_cycles(const Subject& subject, Notes& notes) {
  Rig rig(subject, notes);
  const std::string options = rig.options.dump();
  notes.phase("it is created, configured and destroyed again and again");
  ProcessState before;
  Growth growth;
  for (unsigned i = 1; i <= kCycles; ++i) {
    static_cast<void>(rig.try_options(options, 0));
    if (i == kSegment) before = process_state();
    if (i % kSegment == 0) growth.look();
  }
  const ProcessState after = settled_state(before.threads);
  if (const std::string left = new_descriptors(before, after); !left.empty())
    notes.found("leaked_descriptors", "150 create(), configure() and destroy() leave open: " + left);
  if (after.threads > before.threads)
    notes.found("leaked_threads", "150 create(), configure() and destroy() leave " +
                                      std::to_string(after.threads - before.threads) + " threads behind");
  growth.tell(notes);
}

}  // namespace gatehouse::conformance
