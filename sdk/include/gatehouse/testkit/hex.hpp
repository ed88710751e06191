// Byte vectors written as hex in tests.
#pragma once

#include <gatehouse/base/bytes.hpp>

#include <cstdlib>
#include <string_view>
#include <vector>

namespace gatehouse::testkit {

/// Bytes that own their memory.
using ByteVector = std::vector<std::byte>;

/// "0300|01 0000" -> 03 00 01 00 00. Spaces and '|' are skipped; ends the program on anything else, or an odd digit.
inline ByteVector hex(std::string_view text) {
  ByteVector out;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '|') continue;
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) std::abort();
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<std::byte>(high * 16 + digit));
      high = -1;
    }
  }
  if (high >= 0) std::abort();
  return out;
}

}  // namespace gatehouse::testkit
