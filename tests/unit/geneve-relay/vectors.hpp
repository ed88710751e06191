// The vectors of the relay's protocol, both wire forms: geneve-vectors.json, computed with the reference's own encoders
// from fixed keys and nonces.
#pragma once

#include "plugins/geneve-relay/wire/disco_secret.hpp"
#include "plugins/geneve-relay/wire/random_source.hpp"
#include "tests/unit/folders.hpp"

#include <gatehouse/testkit/hex.hpp>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace gatehouse::geneve_relay {

using testkit::ByteVector;
using testkit::hex;
using Json = nlohmann::json;

inline constexpr std::uint32_t kVectorVni = 43981;

inline const Json& vector_file() {
  static const Json kFile = [] {
    std::ifstream in(source_folder() / "tests/unit/geneve-relay/geneve-vectors.json");
    return Json::parse(in);
  }();
  return kFile;
}

inline ByteVector hex_of(const Json& value) { return hex(value.get<std::string>()); }
inline DiscoKey key_of(const Json& value) { return DiscoKey::from(hex_of(value)); }

/// One of the vectors, by its id.
inline const Json& vector_of(std::string_view id) {
  for (const Json& one : vector_file()["vectors"])
    if (one["id"] == id) return one;
  throw std::runtime_error("no vector " + std::string(id));
}
inline ByteVector datagram_of(std::string_view id) { return hex_of(vector_of(id)["hex"]); }

/// All vectors of that kind.
inline std::vector<Json> vectors_of(std::string_view kind) {
  std::vector<Json> out;
  for (const Json& one : vector_file()["vectors"])
    if (one["kind"] == kind) out.push_back(one);
  return out;
}

/// "a", "b" or "server".
inline DiscoSecret secret_of(const std::string& who) {
  return DiscoSecret(hex_of(vector_file()["keys"][who + "_priv"]));
}
inline DiscoKey public_of(const std::string& who) { return key_of(vector_file()["keys"][who + "_pub"]); }

inline SharedKey shared_by(const std::string& one, const std::string& other) {
  return SharedKey::make(public_of(one), secret_of(other)).value();
}

/// Whose public key that is.
inline std::string owner_of(const DiscoKey& key) {
  for (const std::string who : {"a", "b", "server"})
    if (public_of(who) == key) return who;
  return "nobody";
}

/// Gives the bytes that it was made with, over and over.
class GivenBytes final : public RandomSource {
 public:
  explicit GivenBytes(ByteVector bytes) : bytes_(std::move(bytes)) {}
  void fill(MutableBytes out) noexcept override {
    for (std::byte& byte : out) byte = bytes_[at_++ % bytes_.size()];
  }

 private:
  ByteVector bytes_;
  std::size_t at_ = 0;
};

inline ByteVector copied(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// A test's name: the vector's id, as gtest wants it.
inline std::string name_of(const testing::TestParamInfo<Json>& test) {
  std::string out = test.param["id"];
  std::ranges::replace(out, '-', '_');
  return out;
}

}  // namespace gatehouse::geneve_relay
