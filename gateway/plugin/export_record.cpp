#include "gateway/plugin/export_record.hpp"

#include "gateway/base/guarded.hpp"
#include "gateway/plugin/plugin_message.hpp"

#include <fcntl.h>

#include <cerrno>
#include <system_error>

namespace gatehouse {
namespace {

constexpr const char* kNotOffered = "it does not offer " GH_SESSIONS_EXPORT_ID;

const gh_sessions_export* offered(const gh_plugin_ops& ops, gh_instance* instance) {
  const auto* const table = static_cast<const gh_sessions_export*>(ops.get(instance, GH_SESSIONS_EXPORT_ID));
  if (table == nullptr || table->struct_size < GH_SIZE_1_0(gh_sessions_export)) return nullptr;
  return table->take != nullptr && table->put != nullptr ? table : nullptr;
}

std::vector<std::uint8_t> copy_of(gh_bytes bytes) { return {bytes.data, bytes.data + bytes.size}; }
gh_bytes view_of(const std::vector<std::uint8_t>& bytes) { return {bytes.data(), bytes.size()}; }

/// What the plugin gives, until something goes wrong with it.
struct Taken {
  std::vector<ExportRecord>& records;
  std::optional<std::string> problem;

  void add(const gh_export_record& given) {
    ExportRecord record{.lane = given.lane,
                        .session = given.session,
                        .blob_version = given.blob_version,
                        .blob = copy_of(given.blob),
                        .unread = copy_of(given.unread),
                        .unsent = copy_of(given.unsent),
                        .fds = {}};
    for (std::uint32_t i = 0; i < given.fd_count; ++i) {
      UniqueFd dup(fcntl(given.fds[i], F_DUPFD_CLOEXEC, 0));
      if (!dup) throw std::system_error(errno, std::generic_category(), "keep a session's descriptor");
      record.fds.push_back(std::move(dup));
    }
    records.push_back(std::move(record));
  }

  static void give(void* context, const gh_export_record* given) noexcept {
    Taken& self = *static_cast<Taken*>(context);
    static_cast<void>(guarded([&]() -> gh_status {
      try {
        if (given == nullptr) throw std::invalid_argument("a record is missing");
        if (given->struct_size < GH_SIZE_1_0(gh_export_record)) throw std::invalid_argument("a record is too short");
        if (given->fds == nullptr && given->fd_count != 0) throw std::invalid_argument("a record has no descriptors");
        self.add(*given);
      } catch (const std::exception& error) {
        self.problem = error.what();
      }
      return GH_OK;
    }));
  }
};

}  // namespace

std::optional<std::string> take_sessions(const gh_plugin_ops& ops, gh_instance* instance,
                                         std::vector<ExportRecord>& out) {
  const gh_sessions_export* const table = offered(ops, instance);
  if (table == nullptr) return kNotOffered;
  Taken taken{out, {}};
  PluginMessage why;
  const gh_status status = table->take(instance, &Taken::give, &taken, why.out());
  if (status < 0) return why.words(status);
  return taken.problem;
}

std::optional<std::string> put_session(const gh_plugin_ops& ops, gh_instance* instance, ExportRecord& record) {
  const gh_sessions_export* const table = offered(ops, instance);
  if (table == nullptr) return kNotOffered;
  std::vector<std::int32_t> fds;
  for (const UniqueFd& fd : record.fds) fds.push_back(fd.get());
  gh_export_record given{};
  given.struct_size = sizeof given;
  given.lane = record.lane;
  given.session = record.session;
  given.blob_version = record.blob_version;
  given.fd_count = static_cast<std::uint32_t>(fds.size());
  given.blob = view_of(record.blob);
  given.fds = fds.data();
  given.unread = view_of(record.unread);
  given.unsent = view_of(record.unsent);
  PluginMessage why;
  const gh_status status = table->put(instance, &given, why.out());
  if (status < 0) return why.words(status);
  for (UniqueFd& fd : record.fds) static_cast<void>(fd.release());
  record.fds.clear();
  return {};
}

}  // namespace gatehouse
