#include "gateway/cli/policy/edit/current_policy.hpp"

#include "gateway/base/utc_time.hpp"
#include "gateway/cli/policy/list_lookup.hpp"

namespace gatehouse {

CurrentPolicy::CurrentPolicy(policy::Model rows, const std::filesystem::path& database, const std::string& name)
    : rows_(std::move(rows)),
      name_(name),
      compiled_(policy::compile(rows_, {}, 1, unix_now(), lists_about(database, rows_, name_))) {}

std::optional<policy::Verdict> CurrentPolicy::judge(GroupId group, const policy::Flow& flow) const {
  const auto& groups = compiled_.snapshot->parts().groups;
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (groups[i].id == group.value_or(0))
      return compiled_.snapshot->judge({static_cast<policy::GroupIndex>(i), false}, flow);
  return {};
}

std::optional<policy::Verdict> CurrentPolicy::block_of(GroupId group) const {
  policy::Flow flow;
  flow.destination = public_address();
  flow.port = 443;
  flow.transport = policy::kTcp;
  flow.flags = policy::kFlowNamed;
  flow.domain = name_;
  const auto verdict = judge(group, flow);
  if (!verdict || verdict->reason != policy::Reason::domain) return {};
  return verdict;
}

const policy::DomainList* CurrentPolicy::list_of(const policy::Verdict& verdict) const noexcept {
  if (verdict.table != policy::Table::domain_lists) return nullptr;
  for (const policy::DomainList& row : rows_.domain_lists)
    if (row.id == verdict.row) return &row;
  return nullptr;
}

const IpAddress& CurrentPolicy::public_address() {
  static const IpAddress address = IpAddress::parse("9.9.9.9").value();
  return address;
}

}  // namespace gatehouse
