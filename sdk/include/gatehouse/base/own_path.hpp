// Is a file this program's own? Asked of what it loads, obeys or keeps its records in: whoever else may write there, or
// rename a folder above it, decides what the program does. Thread-safe: no state.
#pragma once

#include <gatehouse/base/unique_fd.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace gatehouse {

/// Which groups may write, too.
enum class Groups {
  own,  ///< one that is its owner's alone
  any,  ///< whichever its owner has chosen: folders of logs have such ones, /var/log of Ubuntu among them
};

/// Who else may change what `path` leads to? Looks at each folder and symbolic link on the way, from the root, and at
/// the end of it. Each must belong to root or to the effective user; no other user may write to it, and no group but
/// those of `groups`. Above the end, a folder that all may write to is fine with the sticky bit (/tmp),
/// since nobody renames there what is not his. What is not there yet is nobody's. One to two system calls a component.
/// @return "" when nobody may; else a sentence that says what to do
[[nodiscard]] std::string why_not_own(const std::filesystem::path& path, Groups groups = Groups::own);

/// The same of one file or folder alone. @param path  its name @param also  another user to whom it may belong
[[nodiscard]] std::string why_not_own(const struct stat& about, const std::filesystem::path& path, uid_t also = 0,
                                      Groups groups = Groups::own);

/// Of the folders and symbolic links on the way alone, whatever is at the end.
[[nodiscard]] std::string why_not_own_way(const std::filesystem::path& path);

/// How many names a file may have (hard links).
enum class Names {
  one,  ///< its own alone
  any,  ///< others, too: whoever made them can write there
};

/// Has somebody else put something in the place of a file that a library opens by its name? For a folder may have been
/// open to others once. @param remedy  what to do then, as in "remove it"
/// @return "" where nothing is there, or a regular file that belongs to root or to the effective user
[[nodiscard]] std::string why_not_own_file(const std::filesystem::path& path, std::string_view remedy,
                                           Names names = Names::one);

/// Opens a regular file that this program makes, or makes it (O_EXCL): never what somebody else has put there to have
/// another file written to, so no symbolic link, no file that has a second name, no FIFO or device.
/// @param flags  O_RDWR or O_WRONLY; O_CLOEXEC is added @param mode  of a file that is made, less the umask
/// @return none: errno says why; why_not_opened() says it in words
[[nodiscard]] UniqueFd open_or_make(const std::filesystem::path& path, int flags, mode_t mode) noexcept;

/// The same of a file that is there.
[[nodiscard]] UniqueFd open_own(const std::filesystem::path& path, int flags) noexcept;

/// A sentence for an errno of these two, with what to do where something else is in the file's place.
[[nodiscard]] std::string why_not_opened(const std::filesystem::path& path, int error);

}  // namespace gatehouse
