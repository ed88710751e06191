#include "plugins/geneve-relay/wire/random_pool.hpp"

#include <sodium.h>

#include <cstring>

namespace gatehouse::geneve_relay {

RandomPool::~RandomPool() { sodium_memzero(bytes_.data(), bytes_.size()); }

void RandomPool::fill(MutableBytes out) noexcept {
  if (out.size() > bytes_.size()) return randombytes_buf(out.data(), out.size());
  if (out.size() > left_) {
    randombytes_buf(bytes_.data(), bytes_.size());
    left_ = bytes_.size();
  }
  const MutableBytes given = MutableBytes(bytes_).subspan(bytes_.size() - left_, out.size());
  std::memcpy(out.data(), given.data(), out.size());
  sodium_memzero(given.data(), given.size());
  left_ -= out.size();
}

}  // namespace gatehouse::geneve_relay
