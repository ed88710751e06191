// How tests call what clients use.
#pragma once

#include <gatehouse/net/client_stream.hpp>

#include <exception>
#include <string>

namespace gatehouse::test {

/// What is thrown by it; "" = nothing.
template <class What>
std::string sentence_of(What what) {
  try {
    what();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// So many bytes, or fewer if the server ends its side.
inline std::string read(ClientStream& stream, std::size_t size) {
  std::string out(size, '\0');
  std::size_t got = 0;
  for (std::size_t n = 1; got < size && n > 0; got += n)
    n = stream.read_some(std::as_writable_bytes(std::span(out)).subspan(got));
  out.resize(got);
  return out;
}
inline std::string read_to_end(ClientStream& stream) { return read(stream, 1 << 16); }

}  // namespace gatehouse::test
