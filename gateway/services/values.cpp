#include "gateway/services/values.hpp"

#include "gateway/base/border.hpp"

#include <algorithm>

namespace gatehouse {
namespace {

constexpr std::size_t kLargestValue = 4096;
constexpr std::size_t kLongestName = 255;

}  // namespace

PluginValues::PluginValues(std::shared_ptr<ValueTable> all, std::string plugin)
    : all_(std::move(all)), plugin_(std::move(plugin)) {
  table_ = {sizeof(gh_values), 0, this,
            [](void* context, gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size) {
              return static_cast<PluginValues*>(context)->get(name, out, capacity, size);
            },
            [](void* context, gh_bytes name, gh_bytes value, std::uint32_t, const gh_completion* durable) {
              const gh_status status = static_cast<PluginValues*>(context)->put(name, value);
              if (status == GH_OK && durable != nullptr && durable->done != nullptr) {
                durable->done(durable->context, durable->token, GH_OK);
              }
              return status;
            }};
}

gh_status PluginValues::get(gh_bytes name, std::uint8_t* out, std::size_t capacity, std::size_t* size) {
  const std::scoped_lock lock(all_->mutex_);
  const auto found = all_->values_.find({plugin_, std::string(text_of(name))});
  if (found == all_->values_.end()) return GH_E_NOT_FOUND;
  *size = found->second.size();
  if (*size <= capacity) std::copy(found->second.begin(), found->second.end(), out);
  return GH_OK;
}

gh_status PluginValues::put(gh_bytes name, gh_bytes value) {
  if (name.size == 0 || name.size > kLongestName || value.size > kLargestValue) return GH_E_INVALID;
  const std::scoped_lock lock(all_->mutex_);
  all_->values_[{plugin_, std::string(text_of(name))}].assign(value.data, value.data + value.size);
  return GH_OK;
}

}  // namespace gatehouse
