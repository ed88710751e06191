// Matchers of messages for the log.
#pragma once

#include "gateway/base/log_message.hpp"

#include <gmock/gmock.h>

#include <string>

namespace gatehouse {

inline testing::Matcher<const LogMessage&> log_info(const testing::Matcher<std::string>& text) {
  return testing::AllOf(testing::Field(&LogMessage::is_warning, false), testing::Field(&LogMessage::text, text));
}
inline testing::Matcher<const LogMessage&> log_warning(const testing::Matcher<std::string>& text) {
  return testing::AllOf(testing::Field(&LogMessage::is_warning, true), testing::Field(&LogMessage::text, text));
}

}  // namespace gatehouse
