# cmake -DOBJECT=FILE -DOUTPUT=FILE.cpp -P embed_object.cmake: relay_object() of those bytes; without OBJECT, of none.
set(bytes "")
if(OBJECT)
  file(READ ${OBJECT} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
endif()
file(WRITE ${OUTPUT} "#include \"plugins/geneve-relay/fast_path/relay_object.hpp\"

namespace gatehouse::geneve_relay {
namespace {
alignas(8) constexpr unsigned char kObject[] = {${bytes}0};
}
Bytes relay_object() noexcept { return std::as_bytes(std::span(kObject, sizeof kObject - 1)); }
}  // namespace gatehouse::geneve_relay
")
