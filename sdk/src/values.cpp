#include <gatehouse/plugin/values.hpp>

#include "kept_bytes.hpp"

#include <stdexcept>

namespace gatehouse {
namespace {

constexpr std::size_t kLargestValue = 4096;

}  // namespace

std::optional<std::vector<std::byte>> Values::get(std::string_view name) const {
  std::vector<std::byte> out(kLargestValue);
  std::size_t size = 0;
  const gh_status status =
      table_->get(table_->context, to_border(name), reinterpret_cast<std::uint8_t*>(out.data()), out.size(), &size);
  if (status == GH_E_NOT_FOUND) return {};
  if (status < 0 || size > out.size())
    throw std::invalid_argument("the host keeps no value by the name of '" + std::string(name) + "'");
  out.resize(size);
  return out;
}

Error Values::put(std::string_view name, Bytes value, ValueKind kind) const {
  return to_error(
      table_->put(table_->context, to_border(name), kept_bytes(value), static_cast<std::uint32_t>(kind), nullptr));
}

Error Values::put(std::string_view name, Bytes value, ValueKind kind, CompletionScope& scope,
                  Completion durable) const {
  return to_error(scope.ask(std::move(durable), [&](const gh_completion* done) {
    return table_->put(table_->context, to_border(name), kept_bytes(value), static_cast<std::uint32_t>(kind), done);
  }));
}

Error Values::erase(std::string_view name) const {
  return to_error(table_->put(table_->context, to_border(name), {}, GH_VALUE_PLAIN, nullptr));
}

Error Values::put_and_wait(std::string_view name, Bytes value, ValueKind kind, CompletionQueue& completions,
                           Nanoseconds most) const {
  const SteadyTime deadline = steady_now() + most;
  std::optional<Error> outcome;
  CompletionScope scope(completions);
  if (const Error refused = put(name, value, kind, scope, [&outcome](Error durable) { outcome = durable; }))
    return refused;
  while (!outcome && completions.wait(deadline - steady_now())) {
  }
  return outcome.value_or(make_error_code(Errc::io));
}

}  // namespace gatehouse
