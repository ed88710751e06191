// Which form of the endpoint's JSON an asker wants, by its Accept: `application/json; form=1` is the first.
#pragma once

#include "plugins/geneve-relay/wire/bind_message.hpp"

#include <string_view>

namespace gatehouse::geneve_relay {

/// The form of the media range of JSON (RFC 9110, 12.5.1) with the highest weight, the foremost of several; today's
/// form where there is none, whatever else is asked for. Neither throws nor allocates; linear.
/// @param accept  the field's value, of all its lines with ", " between; may be empty
[[nodiscard]] WireForm form_wanted(std::string_view accept) noexcept;

}  // namespace gatehouse::geneve_relay
