#include <gatehouse/testkit/plugin_file.hpp>

#include <dlfcn.h>

#include <stdexcept>

namespace gatehouse::testkit {

const gh_manifest& load_plugin(const std::filesystem::path& file) {
  void* const library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  const auto* const manifest = static_cast<const gh_manifest*>(::dlsym(library, "gatehouse_plugin"));
  if (manifest == nullptr || manifest->magic != GH_MAGIC)
    throw std::runtime_error(file.string() + " exports no manifest named gatehouse_plugin");
  return *manifest;
}

}  // namespace gatehouse::testkit
