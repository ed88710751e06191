// The rules of gh.sessions/1 as tests, for any host: see store_host.hpp.
#pragma once

#include "tests/unit/conformance/store_host.hpp"

#include <atomic>

namespace gatehouse::conformance {

class SessionConformance : public StoreTest {
 protected:
  /// Identity "token:bob" unless said otherwise: then the key is no secret.
  static gh_session asked(std::string_view key, std::string_view identity = "token:bob", std::string_view blob = {}) {
    gh_session out{};
    out.struct_size = sizeof out;
    out.blob_version = 3;
    out.key = to_border(key);
    out.identity = to_border(identity);
    out.source = to_border(*Endpoint::parse("192.0.2.1:5"));
    out.blob = to_border(blob);
    return out;
  }
  static gh_status open(PluginHost& at, gh_session& session, const gh_completion* durable = nullptr,
                        unsigned lane = 0) {
    return at.sessions().open(at.sessions().context, at.lane(lane), &session, durable);
  }
  gh_session opened(std::string_view key, std::string_view identity = "token:bob", std::string_view blob = {}) {
    gh_session out = asked(key, identity, blob);
    EXPECT_EQ(open(*plugin, out), GH_OK);
    return out;
  }
  gh_session expiring(std::string_view key, std::uint64_t at) {
    gh_session out = asked(key);
    out.expires_unix = at;
    EXPECT_EQ(open(*plugin, out), GH_OK);
    return out;
  }
  gh_status touch(const gh_session& session, const gh_completion* durable = nullptr) {
    return plugin->sessions().touch(plugin->sessions().context, plugin->lane(0), &session, durable);
  }
  static gh_status end(PluginHost& at, std::uint64_t id) {
    return at.sessions().end(at.sessions().context, at.lane(0), id);
  }
  static gh_status lease(PluginHost& at, std::uint64_t session, std::string_view resource, std::uint64_t expires = 0,
                         const gh_completion* durable = nullptr, unsigned lane = 0) {
    const gh_lease wanted{sizeof wanted, 0, to_border(resource), session, expires};
    return at.sessions().lease(at.sessions().context, at.lane(lane), &wanted, durable);
  }
  gh_status lease(std::uint64_t session, std::string_view resource, std::uint64_t expires = 0,
                  const gh_completion* durable = nullptr) {
    return lease(*plugin, session, resource, expires, durable);
  }
  gh_status release(std::uint64_t session, std::string_view resource) {
    return plugin->sessions().release(plugin->sessions().context, plugin->lane(0), session, to_border(resource));
  }
  static std::uint64_t opening(const gh_session_cells* cells) {
    return std::atomic_ref(const_cast<std::uint64_t&>(cells->opening)).load();
  }
  static void count(gh_session_cells* cells, std::uint64_t n) {
    for (std::uint64_t* cell : {&cells->bytes_up, &cells->bytes_down, &cells->packets_up, &cells->packets_down})
      std::atomic_ref(*cell).fetch_add(n++);
  }

  struct Kept {
    std::vector<std::string> keys, identities, blobs, sources, leases;
    std::vector<std::uint64_t> ids, versions, holders, expiries;
  };
  static Kept kept(PluginHost& at) {
    Kept out;
    const gh_status status = at.sessions().for_each(
        at.sessions().context,
        [](void* visitor, const gh_session* session) {
          Kept& to = *static_cast<Kept*>(visitor);
          to.keys.emplace_back(from_border(session->key));
          to.identities.emplace_back(from_border(session->identity));
          to.blobs.emplace_back(from_border(session->blob));
          to.sources.push_back(from_border(session->source).to_string());
          to.ids.push_back(session->id);
          to.versions.push_back(session->blob_version);
        },
        [](void* visitor, const gh_lease* held) {
          Kept& to = *static_cast<Kept*>(visitor);
          to.leases.emplace_back(from_border(held->resource));
          to.holders.push_back(held->session);
          to.expiries.push_back(held->expires_unix);
        },
        &out);
    EXPECT_EQ(status, GH_OK);
    return out;
  }

  const std::string secret = std::string(32, 'k');
};

}  // namespace gatehouse::conformance
