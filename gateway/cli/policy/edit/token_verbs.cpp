#include "gateway/cli/policy/edit/token_verbs.hpp"

#include "db/policy/policy_database.hpp"
#include "db/policy/policy_editor.hpp"
#include "gateway/base/random.hpp"
#include "gateway/base/sha256.hpp"
#include "gateway/base/utc_time.hpp"
#include "gateway/cli/policy/edit/duration.hpp"
#include "gateway/cli/policy/edit/editor_name.hpp"
#include "gateway/cli/render.hpp"
#include "gateway/cli/running_gateway.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <ostream>
#include <set>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

namespace gatehouse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kPrefix = "ght_";  // so that a leaked token can be found by a search
constexpr std::string_view kIdentity = "token:";
constexpr std::size_t kLongestName = 100;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_name_character(char c) noexcept {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_' ||
         c == '@';
}

/// Names are also patterns of group_members and arguments of `revoke`.
void must_be_name(const std::string& name) {
  if (name.empty() || name.size() > kLongestName || !std::all_of(name.begin(), name.end(), is_name_character))
    throw std::runtime_error("`" + name + "` is no name of a token: write 1 to 100 letters, digits and . - _ @");
  if (std::all_of(name.begin(), name.end(), is_digit))
    throw std::runtime_error("`" + name + "` would be taken for the id of a token: put a letter in it");
}

/// base64url without padding (RFC 4648, 5).
std::string base64url(const std::array<unsigned char, 32>& bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned held = 0;
  int bits = 0;
  for (const unsigned char byte : bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[(held >> (bits - 6)) & 63];
    held &= (1u << bits) - 1;
  }
  if (bits > 0) out += kAlphabet[(held << (6 - bits)) & 63];
  return out;
}

std::string random_token() {
  std::array<unsigned char, 32> bytes;
  fill_random(std::as_writable_bytes(std::span(bytes)));
  return std::string(kPrefix) + base64url(bytes);
}

std::vector<policy::Credential> tokens_of(const policy::Model& model) {
  std::vector<policy::Credential> out;
  for (const policy::Credential& row : model.credentials)
    if (row.kind == "token") out.push_back(row);
  return out;
}

std::string state_of(const policy::Credential& row) {
  if (!row.life.enabled) return "disabled";
  return row.life.counts_at(unix_now()) ? "in force" : "expired";
}

constexpr std::chrono::milliseconds kLook{50}, kLongestLook{5000};  // for a policy to be in force

/// @throws NoGateway, std::runtime_error  the gateway does not take that policy
void wait_until_in_force(const Invocation& invocation, std::int64_t revision) {
  const auto end = std::chrono::steady_clock::now() + kLongestLook;
  while (std::chrono::steady_clock::now() < end) {
    const ControlReply reply = ask_gateway(invocation, "status", Access::read);
    const Json status = Json::parse(reply.json, nullptr, false);
    if (status.is_object() && status.contains("policy") &&
        status["policy"].value("revision", std::int64_t{0}) >= revision)
      return;
    std::this_thread::sleep_for(kLook);
  }
  throw std::runtime_error(
      "the token is revoked, but the gateway does not take the policy over, so nothing was cut: see `gatehouse "
      "status`");
}

/// @return how many
std::size_t end_sessions_of(const Invocation& invocation, const std::string& identity) {
  const ControlReply reply =
      ask_gateway(invocation, "sessions/end", Access::write, Json{{"identity", identity}}.dump());
  const Json body = Json::parse(reply.json, nullptr, false);
  if (reply.status != 200 || !body.is_object())
    throw std::runtime_error("the token is revoked, but the sessions of " + printable(identity) + " were not cut: " +
                             printable(body.is_object() ? body.value("error", reply.json) : reply.json));
  return body.value("ended", std::size_t{0});
}

}  // namespace

int token_new_verb(const Invocation& invocation, const TokenArguments& arguments) {
  const std::filesystem::path database = policy_db(invocation);
  must_be_name(arguments.name);
  const std::string token = random_token();
  const std::string identity = std::string(kIdentity) + arguments.name;
  const auto end = end_after(arguments.duration);
  db::PolicyEditor editor(database, editor_name());
  auto insert = editor.database().prepare(
      "INSERT INTO credentials (kind, value, identity, plugin, expires_at, comment) VALUES ('token', ?1, ?2, ?3, ?4, "
      "?5) RETURNING id");
  insert.bind(1, to_hex(sha256(token)));
  insert.bind(2, identity);
  insert.bind_value(3, arguments.plugin.empty() ? db::Cell() : db::Cell(arguments.plugin));
  insert.bind_value(4, end ? db::Cell(*end) : db::Cell());
  insert.bind(5, arguments.comment);
  if (!insert.step()) throw std::runtime_error("the row was not inserted");
  const std::int64_t row = insert.integer(0);
  static_cast<void>(insert.step());  // to its end
  editor.commit();
  if (invocation.json) {
    print_json(invocation.out, {{"token", token},
                                {"identity", identity},
                                {"row", row},
                                {"plugin", arguments.plugin.empty() ? Json() : Json(arguments.plugin)},
                                {"expires_at", end ? Json(rfc3339(*end)) : Json()}});
    return kExitYes;
  }
  invocation.out << token << '\n'
                 << "This is " << identity << " (credentials " << row << ')'
                 << (arguments.plugin.empty() ? "" : " for " + printable(arguments.plugin))
                 << (end ? ", until " + utc_text(*end) : "")
                 << ". Keep it now: it is not stored and not shown again.\n";
  return kExitYes;
}

int token_list_verb(const Invocation& invocation, const NoArguments&) {
  std::ostream& out = invocation.out;
  const auto tokens = tokens_of(db::PolicyDatabase(policy_db(invocation)).load());
  if (invocation.json) {
    Json body{{"tokens", Json::array()}};
    for (const policy::Credential& row : tokens)
      body["tokens"].push_back({{"row", row.id},
                                {"identity", row.identity},
                                {"plugin", row.plugin ? Json(*row.plugin) : Json()},
                                {"expires_at", row.life.expires_at ? Json(rfc3339(*row.life.expires_at)) : Json()},
                                {"state", state_of(row)}});
    print_json(out, body);
    return kExitYes;
  }
  if (tokens.empty()) {
    out << "there are no tokens: `gatehouse token new NAME` makes one\n";
    return kExitYes;
  }
  std::vector<std::vector<std::string>> rows{{"ID", "IDENTITY", "PLUGIN", "EXPIRES", "STATE"}};
  for (const policy::Credential& row : tokens)
    rows.push_back({std::to_string(row.id), printable(row.identity), printable(row.plugin.value_or("all")),
                    row.life.expires_at ? utc_text(*row.life.expires_at) : "never", state_of(row)});
  out << text_table(rows);
  return kExitYes;
}

int token_revoke_verb(const Invocation& invocation, const RevokeArguments& arguments) {
  if (arguments.cut) static_cast<void>(ask_gateway(invocation, "status", Access::read));  // before anything is changed
  db::PolicyEditor editor(policy_db(invocation), editor_name());
  Json revoked = Json::array();
  std::string lines;
  auto statement = editor.database().prepare("DELETE FROM credentials WHERE id = ?1");
  for (const policy::Credential& row : tokens_of(editor.load())) {
    if (row.identity != std::string(kIdentity) + arguments.name_or_id && std::to_string(row.id) != arguments.name_or_id)
      continue;
    statement.reset();
    statement.bind(1, row.id);
    static_cast<void>(statement.step());
    revoked.push_back({{"row", row.id}, {"identity", row.identity}});
    lines += printable(row.identity) + " (credentials " + std::to_string(row.id) + ") is revoked.\n";
  }
  if (revoked.empty()) {
    complain(invocation, "there is no token `" + printable(arguments.name_or_id) + "`: see `gatehouse token list`");
    return kExitNo;
  }
  const std::int64_t revision = editor.load().revision;
  editor.commit();
  Json body{{"revoked", revoked}};
  if (arguments.cut) {
    wait_until_in_force(invocation, revision);
    std::set<std::string> identities;
    for (const Json& row : revoked) identities.insert(row["identity"].get<std::string>());
    std::size_t ended = 0;
    for (const std::string& identity : identities) ended += end_sessions_of(invocation, identity);
    body["ended_sessions"] = ended;
    lines += std::to_string(ended) + (ended == 1 ? " session is" : " sessions are") + " cut.\n";
  } else {
    lines +=
        "A running gateway takes it from nobody within a second. Who is connected with it stays so, without --cut.\n";
  }
  if (invocation.json)
    print_json(invocation.out, body);
  else
    invocation.out << lines;
  return kExitYes;
}

}  // namespace gatehouse
