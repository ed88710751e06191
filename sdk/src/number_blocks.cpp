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

Error NumberBlocks::when_ready(Completion then) {
  assert(current_.left == 0 && spare_.left == 0);
  if (const Error failure = ask()) return failure;
  waiting_.push_back(std::move(then));
  return {};
}

Error NumberBlocks::ask() {
  if (asking_) return {};
  const gh_status status =
      scope_.ask([this](Error durable) { answered(durable); },
                 [this](const gh_completion* done) {
                   return table_.reserve(table_.context, to_border(name_), size_, &asked_first_, done);
                 });
  asking_ = status >= 0;
  return to_error(status);
}

void NumberBlocks::answered(Error failure) {
  asking_ = false;
  if (!failure) (current_.left == 0 ? current_ : spare_) = {asked_first_, size_};
  const auto waiting = std::exchange(waiting_, {});
  for (const Completion& then : waiting) then(failure);
}

}  // namespace gatehouse
