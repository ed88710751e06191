// Failure as a value. Wire input and the packet path return these and never throw; control code may throw
// boost::system::system_error with them.
#pragma once

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

#include <string>

namespace gatehouse {

/// Why something failed: of errc_category(), or the system's errno. False where nothing did.
using Error = boost::system::error_code;

/// A value, or why there is none.
template <class T>
using Result = boost::system::result<T>;

/// What can be wrong with data, beside what the system reports (errno codes in boost::system's own category).
enum class Errc {
  truncated = 1,  ///< no whole item yet: keep the bytes and read more
  oversize,       ///< longer than this reader accepts
  malformed,      ///< breaks the format's rules
  not_found,      ///< nothing of that name
  unsupported,    ///< well formed, and not something that this build does
  closed,         ///< the peer has ended its side in order
  would_block,    ///< nothing to be had or taken now: wait for readiness
  invalid,        ///< an argument that makes no sense, or is beyond its bounds
  exists,         ///< somebody else has it
  in_doubt,       ///< nobody can tell just now whether somebody has it; another one will not do better
  limit,          ///< a rule or a bound is reached
  denied,         ///< policy or identity says no
  wrong_state,    ///< not in this phase of life
  io,             ///< the disk or the system fails
  failed,         ///< anything else
  pending,        ///< the answer is not at hand: ask again when the completion has come
};

/// Compares equal across shared objects: the category has a fixed 64-bit id.
[[nodiscard]] const boost::system::error_category& errc_category() noexcept;

/// So that an Errc is an Error, and may be compared to one.
[[nodiscard]] inline Error make_error_code(Errc code) noexcept { return {static_cast<int>(code), errc_category()}; }

/// The error of the system call that has just failed (errno).
[[nodiscard]] Error last_system_error() noexcept;

}  // namespace gatehouse

template <>
struct boost::system::is_error_code_enum<gatehouse::Errc> : std::true_type {};
