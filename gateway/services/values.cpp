#include "gateway/services/values.hpp"

#include "gateway/services/durably.hpp"

#include <gatehouse/plugin/border.hpp>

#include <algorithm>
#include <utility>

namespace gatehouse {
namespace {

constexpr std::size_t kLargestValue = 4096;
constexpr std::size_t kLongestName = 255;

bool is_name(gh_bytes name) noexcept { return name.size > 0 && name.size <= kLongestName; }

}  // namespace

PluginValues::PluginValues(std::shared_ptr<ValueTable> all, std::shared_ptr<Durability> durability, std::string plugin)
    : all_(std::move(all)), durability_(std::move(durability)), plugin_(std::move(plugin)) {
  table_ = {.struct_size = sizeof(gh_values),
            .reserved = 0,
            .context = this,
            .get = [](void* context, gh_bytes name, std::uint8_t* out, std::size_t capacity,
                      std::size_t* size) noexcept { return of(context).get(name, out, capacity, size); },
            .put = [](void* context, gh_bytes name, gh_bytes value, std::uint32_t kind,
                      const gh_completion* durable) noexcept { return of(context).put(name, value, kind, durable); },
            .reserve =
                [](void* context, gh_bytes name, std::uint64_t count, std::uint64_t* first,
                   const gh_completion* durable) noexcept { return of(context).reserve(name, count, first, durable); }};
}

PluginValues::~PluginValues() { requester_->close(); }

gh_status PluginValues::get(gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size) noexcept {
  return guarded([&]() -> gh_status {
    const auto value = all_->get({plugin_, std::string(from_border(name))});
    if (!value) return GH_E_NOT_FOUND;
    *size = value->size();
    if (*size <= capacity) std::copy(value->begin(), value->end(), out);
    return GH_OK;
  });
}

gh_status PluginValues::put(gh_bytes name, gh_bytes value, std::uint32_t kind, const gh_completion* durable) noexcept {
  if (!is_name(name) || value.size > kLargestValue || kind > GH_VALUE_SECRET) return GH_E_INVALID;
  if (durability_->refuses_new()) return GH_E_IO;
  return durably(*durability_, requester_, durable, [&](Durability::Ticket ticket) -> Asked {
    std::optional<db::ByteString> bytes;
    if (value.data != nullptr) bytes.emplace(value.data, value.data + value.size);
    all_->put({plugin_, std::string(from_border(name))}, kind == GH_VALUE_SECRET, std::move(bytes), ticket);
    return {};
  });
}

gh_status PluginValues::reserve(gh_bytes name, std::uint64_t count, std::uint64_t* first,
                                const gh_completion* durable) noexcept {
  if (!is_name(name) || count == 0) return GH_E_INVALID;
  if (durability_->refuses_new()) return GH_E_IO;
  return durably(*durability_, requester_, durable, [&](Durability::Ticket ticket) -> Asked {
    const auto begin = all_->reserve({plugin_, std::string(from_border(name))}, count, ticket);
    if (!begin) return {GH_E_INVALID};
    *first = *begin;
    return {};
  });
}

}  // namespace gatehouse
