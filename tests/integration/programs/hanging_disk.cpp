// Preloaded into a gateway: a disk that does not answer the store's thread while the file exists that the environment
// names in HANGING_DISK.
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace {

bool is_store() {
  char name[16]{};
  return pthread_getname_np(pthread_self(), name, sizeof name) == 0 && std::string_view(name) == "gh-store";
}

int sync_when_it_answers(const char* name, int file) {
  const char* const mark = std::getenv("HANGING_DISK");
  while (mark != nullptr && is_store() && access(mark, F_OK) == 0) usleep(10'000);
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(file);
}

}  // namespace

extern "C" [[gnu::visibility("default")]] int fsync(int file) { return sync_when_it_answers("fsync", file); }
extern "C" [[gnu::visibility("default")]] int fdatasync(int file) { return sync_when_it_answers("fdatasync", file); }
