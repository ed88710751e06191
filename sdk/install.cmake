# The SDK as a stranger has it: `cmake --install build/release --prefix P --component sdk` puts headers, libraries, the
# package Gatehouse, gatehouse-sdk.pc and the templates of `gatehouse plugin new` under P, which may be moved afterwards.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The SDK's version is that of the border: a plugin of 1.x runs in every host of 1.y that is not older.
foreach(part MAJOR MINOR)
  file(STRINGS include/gatehouse/abi.h line REGEX "^#define GH_ABI_${part} [0-9]+$")
  string(REGEX REPLACE ".* " "" GATEHOUSE_ABI_${part} "${line}")
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS include/gatehouse/abi.h)
set(GATEHOUSE_SDK_VERSION ${GATEHOUSE_ABI_MAJOR}.${GATEHOUSE_ABI_MINOR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Gatehouse)
set(generated ${CMAKE_CURRENT_BINARY_DIR}/package)
set_target_properties(gatehouse_sdk PROPERTIES EXPORT_NAME sdk)
set_target_properties(gatehouse_testkit PROPERTIES EXPORT_NAME testkit)
install(TARGETS gatehouse_sdk gatehouse_testkit EXPORT gatehouse COMPONENT sdk
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
install(EXPORT gatehouse NAMESPACE gatehouse:: FILE GatehouseTargets.cmake DESTINATION ${package} COMPONENT sdk)

configure_package_config_file(cmake/GatehouseConfig.cmake.in ${generated}/GatehouseConfig.cmake
  INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${generated}/GatehouseConfigVersion.cmake
  VERSION ${GATEHOUSE_SDK_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES ${generated}/GatehouseConfig.cmake ${generated}/GatehouseConfigVersion.cmake
  cmake/GatehousePlugin.cmake cmake/plugin.map DESTINATION ${package} COMPONENT sdk)

# For other build systems: flags, the linker's among them, and no paths but relative ones.
file(RELATIVE_PATH up /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
configure_file(cmake/gatehouse-sdk.pc.in ${generated}/gatehouse-sdk.pc @ONLY)
install(FILES ${generated}/gatehouse-sdk.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)

# What `gatehouse plugin new` copies stands where it looks from its own folder, in the build folder, too.
install(DIRECTORY template DESTINATION share/gatehouse COMPONENT sdk)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/share/gatehouse)
file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR}/template ${CMAKE_BINARY_DIR}/share/gatehouse/template SYMBOLIC)
install(FILES README.md ABI.md DESTINATION share/doc/gatehouse-sdk COMPONENT sdk)
