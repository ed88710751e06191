#include "gateway/cli/policy/edit/editor_name.hpp"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace gatehouse {

std::string editor_name() {
  const uid_t user = ::geteuid();
  if (const char* const caller = std::getenv("SUDO_USER"); user == 0 && caller != nullptr && *caller != '\0')
    return caller;
  std::array<char, 16384> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return "uid " + std::to_string(user);
}

}  // namespace gatehouse
