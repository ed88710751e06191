# gatehouse_add_plugin(NAME [SOURCES a.cpp b.cpp] [LIBRARIES target...]): one loadable module, plugins/NAME.so,
# that exports gatehouse_plugin and nothing else. SOURCES hold the manifest; what tests link too stands in LIBRARIES.
set(GATEHOUSE_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

function(gatehouse_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  add_library(plugin_${name} MODULE ${arg_SOURCES})
  target_link_libraries(plugin_${name} PRIVATE gatehouse::sdk ${arg_LIBRARIES})
  target_include_directories(plugin_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  # The version script makes two versions of a plugin independent: without it unique symbols of Asio and others
  # would be shared between them. Code is never unmapped, because a thread's TLS destructors may still point to it.
  target_link_options(plugin_${name} PRIVATE
    LINKER:--version-script=${GATEHOUSE_PLUGIN_MAP} LINKER:-z,nodelete LINKER:-z,now LINKER:-z,relro)
  if(NOT GATEHOUSE_SANITIZE)
    target_link_options(plugin_${name} PRIVATE LINKER:-z,defs)
  endif()
  set_target_properties(plugin_${name} PROPERTIES
    PREFIX ""
    OUTPUT_NAME ${name}
    LINK_DEPENDS ${GATEHOUSE_PLUGIN_MAP}
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
endfunction()
