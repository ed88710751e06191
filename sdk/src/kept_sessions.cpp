#include <gatehouse/plugin/kept_sessions.hpp>

#include <exception>
#include <stdexcept>

namespace gatehouse {
namespace {

/// Nothing may be thrown through the host: it is kept until the host has returned.
struct Visitor {
  const std::function<void(const KeptSession&)>& on_session;
  const std::function<void(const KeptLease&)>& on_lease;
  std::exception_ptr thrown;

  template <class Call>
  void guard(Call&& call) noexcept {
    if (thrown) return;
    try {
      call();
    } catch (...) {
      thrown = std::current_exception();
    }
  }
};

void visit_session(void* to, const gh_session* in) {
  Visitor& visitor = *static_cast<Visitor*>(to);
  visitor.guard([&] {
    visitor.on_session({in->id, from_border(in->key), from_border(in->identity), from_border(in->source),
                        in->blob_version, bytes_of(from_border(in->blob))});
  });
}

void visit_lease(void* to, const gh_lease* in) {
  Visitor& visitor = *static_cast<Visitor*>(to);
  visitor.guard([&] {
    const std::chrono::seconds until(static_cast<std::int64_t>(in->expires_unix));
    visitor.on_lease({from_border(in->resource), in->session, std::chrono::sys_seconds(until)});
  });
}

}  // namespace

void for_each_kept(const Host& host, const std::function<void(const KeptSession&)>& on_session,
                   const std::function<void(const KeptLease&)>& on_lease) {
  Visitor visitor{on_session, on_lease, {}};
  const gh_sessions& sessions = host.sessions();
  const gh_status status = sessions.for_each(sessions.context, visit_session, visit_lease, &visitor);
  if (visitor.thrown) std::rethrow_exception(visitor.thrown);
  if (status < 0) throw std::runtime_error("the host does not tell which sessions it remembers");
}

}  // namespace gatehouse
