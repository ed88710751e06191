#include <gatehouse/base/error.hpp>

#include <cerrno>

namespace gatehouse {
namespace {

class ErrcCategory final : public boost::system::error_category {
 public:
  // The id makes codes of this category equal in every shared object that has a copy of it.
  constexpr ErrcCategory() noexcept : error_category(0x6761'7465'686f'7573) {}
  const char* name() const noexcept override { return "gatehouse"; }
  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::truncated: return "incomplete";
      case Errc::oversize: return "too long";
      case Errc::malformed: return "malformed";
      case Errc::not_found: return "not found";
      case Errc::unsupported: return "not supported";
      case Errc::closed: return "closed by the peer";
      case Errc::would_block: return "would block";
      case Errc::invalid: return "makes no sense";
      case Errc::exists: return "somebody else has it";
      case Errc::in_doubt: return "nobody can tell whether somebody has it";
      case Errc::limit: return "a limit is reached";
      case Errc::denied: return "denied";
      case Errc::wrong_state: return "not in this state";
      case Errc::io: return "the disk or the system fails";
      case Errc::failed: return "failed";
      case Errc::pending: return "not known yet";
    }
    return "unknown error";
  }
};

constexpr ErrcCategory kCategory;

}  // namespace

const boost::system::error_category& errc_category() noexcept { return kCategory; }

Error last_system_error() noexcept { return {errno, boost::system::system_category()}; }

}  // namespace gatehouse
