#include "plugins/geneve-relay/allocation/accept_form.hpp"

#include <gtest/gtest.h>

#include <string>

namespace gatehouse::geneve_relay {
namespace {

struct Case {
  std::string_view accept;
  WireForm form;
};
constexpr WireForm kFirst = WireForm::first, kCurrent = WireForm::current;

TEST(AcceptForm, IsTheOneThatIsWantedMost) {
  const Case kCases[] = {
      {"", kCurrent},
      {"*/*", kCurrent},
      {"text/html", kCurrent},
      {"application/json", kCurrent},
      {"application/json; form=1", kFirst},
      {"application/json;form=1", kFirst},
      {"Application/JSON ;\tFORM = \"1\" ", kFirst},
      {"application/json; charset=utf-8; form=1; q=0.5", kFirst},
      {"application/json; form=2", kCurrent},
      {"application/json; form=10", kCurrent},
      {"text/html, application/json;form=1, */*;q=0.1", kFirst},
      {"*/*, application/json;form=1", kCurrent},
      {"application/json;q=0.8, application/json;form=1;q=0.9", kFirst},
      {"application/json;q=0.9, application/json;form=1;q=0.8", kCurrent},
      {"application/json;form=1;q=0, application/json", kCurrent},
      {"application/json;form=1;q=0", kCurrent},
      {"application/json;form=1;q=2", kCurrent},
      {"application/json;form=1;q=0.x", kCurrent},
      {"text/plain;a=\"x, application/json;form=1, \"", kCurrent},
      {"text/plain;a=\"\\\", application/json;form=1, \"", kCurrent},
      {"application/*;form=1", kCurrent},
      {",,; ,application/json;form=1,", kFirst},
      {"application/json;form", kCurrent},
      {"application/json;form=\"1", kCurrent},
  };
  for (const Case& one : kCases) EXPECT_EQ(form_wanted(one.accept), one.form) << one.accept;
}

}  // namespace
}  // namespace gatehouse::geneve_relay
