# gatehouse_faulty_plugin(NAME ID [LINK option...] [SOURCES more.cpp...]): faulty.c with one fault, as
# conformance-faults/NAME.so, and a test that `gatehouse plugin check` finds ID in it. The linker gets what
# gatehouse_add_plugin() gives it, and then LINK. ID "": nothing is found.
function(gatehouse_faulty_plugin name id)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LINK;SOURCES;LIBRARIES")
  string(REPLACE - _ fault ${name})
  add_library(faulty_${name} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/faulty.c ${arg_SOURCES})
  target_include_directories(faulty_${name} PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
  target_compile_definitions(faulty_${name} PRIVATE _GNU_SOURCE)
  file(STRINGS faulty.c in_code REGEX "F_${fault}([^a-z_]|$)" LIMIT_COUNT 1)
  if(in_code)  # else how it is linked is all
    target_compile_definitions(faulty_${name} PRIVATE FAULT=F_${fault} IS_F_${fault})
  endif()
  target_link_libraries(faulty_${name} PRIVATE Threads::Threads ${arg_LIBRARIES})
  set(map LINKER:--version-script=${GATEHOUSE_PLUGIN_MAP})
  if("NO_MAP" IN_LIST arg_LINK)
    list(REMOVE_ITEM arg_LINK NO_MAP)
    set(map "")
  endif()
  target_link_options(faulty_${name} PRIVATE ${map} LINKER:-z,nodelete LINKER:-z,now LINKER:-z,relro ${arg_LINK})
  set_target_properties(faulty_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/conformance-faults)
  add_dependencies(conformance_faults faulty_${name})
  gatehouse_expect_finding(${name} ${CMAKE_BINARY_DIR}/conformance-faults/${name}.so "${id}")
endfunction()

# gatehouse_expect_finding(NAME FILE ID): the test alone.
function(gatehouse_expect_finding name file id)
  add_test(NAME conformance.${name}
           COMMAND Python3::Interpreter -B ${CMAKE_CURRENT_SOURCE_DIR}/expect_finding.py $<TARGET_FILE:gatehouse> ${file} "${id}")
  set_tests_properties(conformance.${name} PROPERTIES LABELS unit TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()
