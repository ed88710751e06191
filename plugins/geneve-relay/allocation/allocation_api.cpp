#include "plugins/geneve-relay/allocation/allocation_api.hpp"

#include "plugins/geneve-relay/allocation/accept_form.hpp"
#include "plugins/geneve-relay/wire/endpoint_json.hpp"

#include <algorithm>
#include <memory>

namespace gatehouse::geneve_relay {
namespace {

constexpr std::string_view kPath = "/v0/relay/endpoint";
constexpr std::string_view kFullSentence =
    "the request must be {\"DiscoKeys\":[\"discokey:<64 hex>\",\"discokey:<64 hex>\"]}";

bool is_of_role(const Listener& listener) { return listener.role == AllocationApi::kRole; }

unsigned status_of(AllocationRefusal::Cause cause) noexcept {
  using Cause = AllocationRefusal::Cause;
  switch (cause) {
    case Cause::denied: return 403;
    case Cause::own_key: return 400;
    case Cause::limit: return 429;
    case Cause::not_ready:
    case Cause::full:
    case Cause::draining:
    case Cause::not_durable:
    case Cause::no_answer:
    case Cause::count: break;
  }
  return 503;
}

ApiAnswer answer_of(const AllocationOutcome& outcome, WireForm form) {
  constexpr std::chrono::seconds kSoon{3};
  if (const auto* const refusal = std::get_if<AllocationRefusal>(&outcome)) {
    const unsigned status = status_of(refusal->cause);
    auto wait = refusal->retry_after;
    if (wait.count() == 0 && (status == 503 || status == 429)) wait = kSoon;
    return ApiAnswer::error(status, refusal->sentence, wait);
  }
  ApiAnswer out;
  out.body = write_json_endpoint(std::get<ServerEndpoint>(outcome), form);
  return out;
}

/// What is wrong with a body.
std::string_view sentence_of(const Error& why) {
  if (why == Errc::invalid) return "DiscoKeys must be two keys that differ";
  return kFullSentence;
}

/// A client that is served, while it is.
class Served {
 public:
  explicit Served(std::atomic<std::uint64_t>& count) noexcept : count_(count) { ++count_; }
  ~Served() { --count_; }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

 private:
  std::atomic<std::uint64_t>& count_;
};

}  // namespace

/// An asker, until its answer is there.
struct AllocationApi::Asker {
  Asker(ApiCall from, WireForm wanted, std::atomic<std::uint64_t>& count)
      : call(std::move(from)), form(wanted), served(count) {}

  ApiCall call;
  WireForm form;
  Served served;
};

AllocationApi::AllocationApi(const LaneContext& context, Allocator& allocator)
    : context_(context),
      allocator_(allocator),
      metrics_(context, "http"),
      connections_(context.loop, context.host.log()),
      budget_(context),
      listeners_(context, StreamListeners::Api{[this](ApiCall call) { take(std::move(call)); },
                                               [this](const Error&) { budget_.ran_short(Resource::descriptors); },
                                               kLargestJsonRequest}) {}

std::string AllocationApi::fault_of(const std::vector<Listener>& listeners) {
  for (const Listener& one : listeners) {
    if (!is_of_role(one)) continue;
    if (!one.origins.empty())
      return std::string(kRole) + " `" + one.name + "`: no page in a browser may ask for endpoints: remove `origins`";
    if (one.transport != Transport::tcp) continue;
    if (!one.takes_token && !one.takes_certificate)
      return std::string(kRole) + " `" + one.name +
             "`: over TCP every user of this machine, or anybody, could ask: write auth = \"token\" or \"cert\", or "
             "listen on a unix: path";
    const bool is_clear = !one.tls && !one.local.address.unmapped().is_loopback() && one.trusted_proxies.empty();
    if (is_clear)
      return std::string(kRole) + " `" + one.name + "`: beyond loopback it needs TLS: write tls:ADDRESS:PORT";
  }
  return {};
}

void AllocationApi::listen(const std::vector<Listener>& listeners) {
  std::vector<Listener> own;
  std::copy_if(listeners.begin(), listeners.end(), std::back_inserter(own), is_of_role);
  listeners_.listen(own);
}

void AllocationApi::take(ApiCall call) {
  const ApiRequest& request = call.request();
  if (request.path != kPath)
    return call.answer(ApiAnswer::error(404, "nothing is served under this path: POST /v0/relay/endpoint"));
  if (request.method != "POST") {
    ApiAnswer answer = ApiAnswer::error(405, "only POST is known here");
    answer.allow = "POST";
    return call.answer(answer);
  }
  const auto clients = parse_json_request(request.body);
  if (!clients) return call.answer(ApiAnswer::error(400, sentence_of(clients.error())));
  allocate(std::move(call), *clients);
}

/// The asker may go meanwhile, and so may this object: what both know is in the asker then.
void AllocationApi::allocate(ApiCall call, const DiscoPair& clients) {
  AllocationDemand demand{clients, call.identity(), call.peer().source, call.listener().id};
  const WireForm form = form_wanted(find_field(call.request().fields, "Accept").value_or(""));
  const auto asker = std::make_shared<Asker>(std::move(call), form, context_.pending);
  allocator_.allocate(std::move(demand),
                      [this, alive = std::weak_ptr(alive_), asker](const AllocationOutcome& outcome) {
                        if (!alive.expired()) tell(*asker, outcome);
                      });
}

void AllocationApi::tell(Asker& asker, const AllocationOutcome& outcome) {
  metrics_.count(outcome);
  if (const auto* const refusal = std::get_if<AllocationRefusal>(&outcome)) {
    connections_.info(asker.call.peer().source.address, "allocation refused",
                      {{"client", asker.call.peer().to_string()},
                       {"identity", asker.call.identity().empty() ? "anonymous" : asker.call.identity()},
                       {"why", refusal->sentence}});
  }
  asker.call.answer(answer_of(outcome, asker.form));
}

}  // namespace gatehouse::geneve_relay
