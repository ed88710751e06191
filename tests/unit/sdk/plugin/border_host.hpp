// A host that offers the fake one's interfaces and one more.
#pragma once

#include <gatehouse/plugin/host.hpp>
#include <gatehouse/testkit/fake_host.hpp>

#include <string_view>

namespace gatehouse {

class BorderHost {
 public:
  BorderHost(const char* id, const void* table) : id_(id), table_(table) {
    border_ = {sizeof border_, GH_ABI_MINOR, this, [](void* context, const char* wanted) -> const void* {
                 const auto& self = *static_cast<const BorderHost*>(context);
                 if (std::string_view(wanted) == self.id_) return self.table_;
                 return self.fake_.table()->get(self.fake_.table()->context, wanted);
               }};
  }
  BorderHost(const BorderHost&) = delete;
  BorderHost& operator=(const BorderHost&) = delete;
  [[nodiscard]] Host host() const { return {&border_, "test"}; }

 private:
  testkit::FakeHost fake_;
  std::string_view id_;
  const void* table_;
  gh_host border_;
};

}  // namespace gatehouse
