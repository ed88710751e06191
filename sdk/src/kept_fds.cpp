#include <gatehouse/plugin/kept_fds.hpp>

#include <stdexcept>
#include <string>

namespace gatehouse {

Result<void> keep_fds(const Host& host, std::string_view name, std::span<const int> fds) {
  const gh_fds& table = host.fds();
  const gh_status status = table.keep(table.context, to_border(name), fds.data(), fds.size());
  if (status < 0) return to_error(status);
  return boost::system::in_place_value;
}

std::vector<UniqueFd> take_fds(const Host& host, std::string_view name) {
  const gh_fds& table = host.fds();
  std::vector<std::int32_t> numbers(16);
  for (;;) {
    std::size_t count = 0;
    const gh_status status = table.take(table.context, to_border(name), numbers.data(), numbers.size(), &count);
    if (status == GH_E_NOT_FOUND) return {};
    if (status == GH_E_LIMIT && count > numbers.size()) {
      numbers.resize(count);
      continue;
    }
    if (status < 0) throw std::runtime_error("the host cannot give back the descriptors " + std::string(name));
    std::vector<UniqueFd> out;
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) out.emplace_back(numbers[i]);
    return out;
  }
}

}  // namespace gatehouse
