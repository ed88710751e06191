#include <gatehouse/plugin/ranges.hpp>

#include <stdexcept>
#include <string>

namespace gatehouse {

std::vector<NumberRange> Ranges::of(std::string_view space) const {
  if (table_ == nullptr) return {{0, UINT64_MAX}};
  std::vector<gh_range> rows(1);
  std::size_t count = 0;
  for (;;) {
    const gh_status status = table_->get(table_->context, to_border(space), rows.data(), rows.size(), &count);
    if (status < 0) throw std::invalid_argument("the host has no ranges of '" + std::string(space) + "'");
    if (count <= rows.size()) break;
    rows.resize(count);  // they may change between two calls
  }
  std::vector<NumberRange> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back({rows[i].first, rows[i].last});
  return out;
}

}  // namespace gatehouse
