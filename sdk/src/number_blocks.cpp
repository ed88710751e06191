#include <gatehouse/plugin/number_blocks.hpp>

namespace gatehouse {

NumberBlocks::NumberBlocks(const LaneContext& context, std::string name, std::uint64_t block)
    : table_(context.host.values()), name_(std::move(name)), size_(block), scope_(context.completions) {
  assert(block > 0);
  (void)ask();  // a failure is told to who waits
}

std::optional<std::uint64_t> NumberBlocks::next() {
  if (current_.left == 0) current_ = std::exchange(spare_, {});
  if (current_.left <= size_ / 2 && spare_.left == 0) (void)ask();
  if (current_.left == 0) return {};
  --current_.left;
  return current_.next++;
}

gh_status NumberBlocks::when_ready(Completion then) {
  assert(current_.left == 0 && spare_.left == 0);
  const gh_status status = ask();
  if (status >= 0) waiting_.push_back(std::move(then));
  return status;
}

gh_status NumberBlocks::ask() {
  if (asking_) return GH_OK;
  const gh_status status =
      scope_.ask([this](gh_status durable) { answered(durable); },
                 [this](const gh_completion* done) {
                   return table_.reserve(table_.context, to_border(name_), size_, &asked_first_, done);
                 });
  asking_ = status >= 0;
  return status;
}

void NumberBlocks::answered(gh_status status) {
  asking_ = false;
  if (status == GH_OK) (current_.left == 0 ? current_ : spare_) = {asked_first_, size_};
  const auto waiting = std::exchange(waiting_, {});
  for (const Completion& then : waiting) then(status);
}

}  // namespace gatehouse
