#include "gateway/base/openmetrics.hpp"

#include "gateway/base/printable.hpp"

#include <array>
#include <charconv>

namespace gatehouse {
namespace {

/// As the format wants it inside quotes, and in help texts too. It has an escape for one control character only.
std::string escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    for (const char c : printable(text.substr(0, end))) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    if (end == text.npos) break;
    out += "\\n";
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string label_set(const MetricLabels& labels, std::string_view bound = {}) {
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    out += out.empty() ? "{" : ",";
    out += metric_name(name);
    out += "=\"";
    out += escaped(value);
    out += '"';
  };
  for (const auto& [name, value] : labels) add(name, value);
  if (!bound.empty()) add("le", bound);
  if (!out.empty()) out += '}';
  return out;
}

std::string decimal(double value) {
  std::array<char, 64> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed, 6);
  return {digits.data(), end.ptr};
}

/// A bucket's bound in the one form that readers compare as text: 250.0, 1e+06. Source: OpenMetrics 1.0,
/// "Considerations: Canonical Numbers"; as Go writes it.
std::string canonical(std::uint64_t bound) {
  constexpr std::uint64_t kExponentFrom = 1'000'000;
  if (bound < kExponentFrom) return std::to_string(bound) + ".0";
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<double>(bound),
                                 std::chars_format::scientific);
  return {digits.data(), end.ptr};
}

void add_sample(std::string& out, const std::string& name, const std::string& labels, const std::string& value) {
  out += name;
  out += labels;
  out += ' ';
  out += value;
  out += '\n';
}

}  // namespace

std::string metric_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    if (digit && out.empty()) out += '_';
    out += letter || digit ? c : '_';
  }
  return out.empty() ? "_" : out;
}

std::string* OpenMetrics::samples_of(const std::string& name, std::string_view kind, std::string_view help) {
  const auto [family, is_new] = families_.try_emplace(name, Family{std::string(kind), std::string(help), {}});
  return family->second.kind == kind ? &family->second.samples : nullptr;
}

void OpenMetrics::counter(std::string_view name, std::string_view help, const MetricLabels& labels,
                          std::uint64_t value) {
  const std::string family = metric_name(name);
  if (std::string* out = samples_of(family, "counter", help)) {
    add_sample(*out, family + "_total", label_set(labels), std::to_string(value));
  }
}

void OpenMetrics::counter_seconds(std::string_view name, std::string_view help, const MetricLabels& labels,
                                  double value) {
  const std::string family = metric_name(name);
  if (std::string* out = samples_of(family, "counter", help)) {
    add_sample(*out, family + "_total", label_set(labels), decimal(value));
  }
}

void OpenMetrics::gauge(std::string_view name, std::string_view help, const MetricLabels& labels, std::int64_t value) {
  const std::string family = metric_name(name);
  if (std::string* out = samples_of(family, "gauge", help)) {
    add_sample(*out, family, label_set(labels), std::to_string(value));
  }
}

void OpenMetrics::histogram(std::string_view name, std::string_view help, const MetricLabels& labels,
                            std::span<const std::uint64_t> bounds, std::span<const std::uint64_t> buckets,
                            std::uint64_t sum) {
  const std::string family = metric_name(name);
  std::string* out = samples_of(family, "histogram", help);
  if (out == nullptr) return;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    count += buckets[i];
    const std::string bound = i < bounds.size() ? canonical(bounds[i]) : "+Inf";
    add_sample(*out, family + "_bucket", label_set(labels, bound), std::to_string(count));
  }
  add_sample(*out, family + "_count", label_set(labels), std::to_string(count));
  add_sample(*out, family + "_sum", label_set(labels), std::to_string(sum));
}

std::string OpenMetrics::text() const {
  std::string out;
  for (const auto& [name, family] : families_) {
    out += "# TYPE " + name + ' ' + family.kind + '\n';
    if (!family.help.empty()) out += "# HELP " + name + ' ' + escaped(family.help) + '\n';
    out += family.samples;
  }
  return out + "# EOF\n";
}

}  // namespace gatehouse
