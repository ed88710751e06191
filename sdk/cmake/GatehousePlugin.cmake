# gatehouse_add_plugin(NAME [SOURCES a.cpp b.cpp] [LIBRARIES target...]): one loadable module, plugins/NAME.so in the
# build folder, that exports gatehouse_plugin and nothing else. Its target is plugin_NAME. SOURCES hold the manifest; what
# tests link too stands in LIBRARIES. `cmake --install` puts it where the gateway looks. In this tree and out of it alike.
set(GATEHOUSE_PLUGIN_MAP ${CMAKE_CURRENT_LIST_DIR}/plugin.map)

# gatehouse_split_debug(TARGET): what debuggers and profilers read goes to a file of its own beside the linked one, as
# NAME.debug, where they find it; a start need not copy and hash it. Names of functions stay, for stacks.
function(gatehouse_split_debug target)
  if(CMAKE_OBJCOPY AND CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    add_custom_command(TARGET ${target} POST_BUILD
      COMMAND ${CMAKE_OBJCOPY} --only-keep-debug $<TARGET_FILE:${target}> $<TARGET_FILE:${target}>.debug
      COMMAND ${CMAKE_OBJCOPY} --strip-debug --add-gnu-debuglink=$<TARGET_FILE:${target}>.debug $<TARGET_FILE:${target}>
      VERBATIM)
  endif()
endfunction()

function(gatehouse_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBRARIES")
  add_library(plugin_${name} MODULE ${arg_SOURCES})
  target_link_libraries(plugin_${name} PRIVATE gatehouse::sdk ${arg_LIBRARIES})
  target_include_directories(plugin_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  # The version script makes two versions of a plugin independent: without it unique symbols of Asio and others
  # would be shared between them. Code is never unmapped, because a thread's TLS destructors may still point to it.
  target_compile_options(plugin_${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
  target_link_options(plugin_${name} PRIVATE
    LINKER:--version-script=${GATEHOUSE_PLUGIN_MAP} LINKER:-z,nodelete LINKER:-z,now LINKER:-z,relro
    LINKER:-z,noexecstack)
  if(NOT GATEHOUSE_SANITIZE)
    target_link_options(plugin_${name} PRIVATE LINKER:-z,defs)
  endif()
  set_target_properties(plugin_${name} PROPERTIES
    PREFIX ""
    OUTPUT_NAME ${name}
    C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS ${GATEHOUSE_PLUGIN_MAP}
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
  gatehouse_split_debug(plugin_${name})
  install(TARGETS plugin_${name} LIBRARY DESTINATION lib/gatehouse/plugins)
endfunction()
