#include "gateway/config/tls_config.hpp"

namespace gatehouse {
namespace {

constexpr std::size_t kLongestAlpnName = 255;  // RFC 7301, 3.1: its length is a byte
constexpr std::size_t kMostAlpnNames = 16;

void read_file(TableReader& reader, const std::string& key, std::filesystem::path& out) {
  const ConfigValue* const value = reader.take(key);
  if (value == nullptr) return;
  const bool is_text = value->kind == ConfigValue::Kind::string;
  if (!is_text || !(value->text.empty() || std::filesystem::path(value->text).is_absolute()))
    return reader.refuse(*value, key, "an absolute path to a PEM file, or \"\" for none");
  out = value->text;
}

void read_alpn(TableReader& reader, std::vector<std::string>& out) {
  const ConfigValue* const value = reader.take("alpn");
  if (value == nullptr) return;
  const std::string wanted = "an array of at most 16 names of 1 to 255 bytes, such as [\"http/1.1\"]";
  if (value->kind != ConfigValue::Kind::array || value->children.size() > kMostAlpnNames)
    return reader.refuse(*value, "alpn", wanted);
  std::vector<std::string> names;
  for (const ConfigValue& item : value->children) {
    if (item.kind != ConfigValue::Kind::string || item.text.empty() || item.text.size() > kLongestAlpnName)
      return reader.refuse(item, "alpn", wanted);
    names.push_back(item.text);
  }
  out = std::move(names);
}

}  // namespace

void read_tls_keys(TableReader& reader, TlsConfig& out) {
  read_file(reader, "certificate", out.certificate);
  read_file(reader, "key", out.key);
  read_file(reader, "client_ca", out.client_ca);
  read_alpn(reader, out.alpn);
  std::string minimum = out.takes_tls12 ? "1.2" : "1.3";
  reader.read("minimum", minimum, {"1.3", "1.2"});
  out.takes_tls12 = minimum == "1.2";
  std::string ktls = out.ktls ? "auto" : "off";
  reader.read("ktls", ktls, {"auto", "off"});
  out.ktls = ktls == "auto";
}

}  // namespace gatehouse
