#include "gateway/conformance/finding.hpp"

#include <algorithm>
#include <stdexcept>

namespace gatehouse::conformance {
namespace {

using enum Severity;

constexpr FindingKind kKinds[] = {
    // Of the file alone.
    {"not_loadable", fault, "build it as a shared object for this processor, and install the whole file"},
    {"not_trusted", warning, "put the file where its owner and root alone can write: the gateway loads no other"},
    {"missing_manifest", fault, "define `gatehouse_plugin` with default visibility; make_manifest() makes it in C++"},
    {"extra_export", fault,
     "link with gatehouse_add_plugin(), or a version script that keeps `gatehouse_plugin` alone"},
    {"unique_symbol", fault,
     "link with gatehouse_add_plugin(), or a version script: two versions of the plugin would share this state"},
    {"search_path", fault,
     "link without -rpath: libraries are to come from the system, not from a folder of the build"},
    {"executable_stack", fault,
     "link with -z noexecstack, and without nested functions: all stacks of the gateway become "
     "executable with it"},
    {"text_relocations", fault, "compile everything in it with -fPIC"},
    {"writable_code", fault, "link without -N or a script that puts data and code into one segment"},
    {"no_relro", warning, "link with -z relro"},
    {"no_bind_now", warning, "link with -z now"},
    {"unusual_library", warning,
     "link it statically, hidden by the version script: as a shared library the gateway or another plugin may have "
     "loaded "
     "another version of it already"},
    // What loading it says.
    {"load_failed", fault, "link with -z defs to see at home what is missing, and name the packages that it needs"},
    {"constructor_effect", fault, "begin threads and open files in start(), not in constructors of static objects"},
    {"handshake", fault, "build it with this gateway's SDK"},
    {"bad_manifest", fault, "see gh_manifest in abi.h"},
    {"bare_manifest", warning, "say it in the manifest: people read it in `gatehouse plugin describe`"},
    // Options.
    {"bad_schema", fault, "see options_schema in abi.h: a subset of JSON Schema, whose defaults keep its own rules"},
    {"default_refused", fault, "accept what the schema gives as defaults, alone and together"},
    {"option_refused", fault, "accept what the schema allows, or narrow `minimum`, `maximum` or `enum`"},
    {"bad_option_accepted", fault, "give the option a `type`, a range or an `enum` in the schema"},
    {"silent_refusal", fault, "leave a sentence in `why` wherever a call fails: it is all that the operator gets"},
    {"dry_run_effect", fault, "with GH_CONFIGURE_CHECK validate only; open, bind and begin in start()"},
    // Life.
    {"leaked_descriptors", fault, "close in destroy() what was opened; the listeners' descriptors belong to the host"},
    {"leaked_threads", fault, "join in destroy(), at the latest, what was begun"},
    {"leaked_memory", fault, "free in destroy() what create(), configure() and start() have allocated"},
    {"start_refused", fault, "start with the schema's defaults, or say with --options what else is needed here"},
    {"not_started", warning,
     "run the check as root, with --options where the defaults do not do: nothing is known of its life"},
    {"lane_failed", fault, "whatever clients send, a lane goes on until stop()"},
    {"no_heartbeat", fault,
     "raise gh_lane.turns in each turn of the loop, and when GH_WAKE_ALIVE asks for it; never block "
     "a lane"},
    {"slow_stop", fault, "run_lane() returns within a second of stop(), whatever clients do"},
    {"slow_call", fault, "wake(), drain(), pending() and stop() return at once: leave the work to the lanes"},
    {"not_started_again", fault,
     "start() may follow a stop() whose lanes have all returned, and ends the stop: sessions and listeners are as "
     "before"},
    {"change_refused", fault,
     "reconfigure() accepts the options that run; listeners_changed() accepts any set of those "
     "listeners, none too"},
    {"wrong_thread", fault,
     "call [lane] functions in run_lane's thread, with that lane, and [control] ones in the call of "
     "the host that they are meant for"},
    {"strange_client", fault,
     "use a client on the lane that opened it, and not after client_close(): the gateway refuses whatever is asked for "
     "it, and logs a warning"},
    {"leaked_clients", fault, "close in run_lane what was opened: client_close() and flow_close() for each"},
    // What a host may lack or refuse.
    {"withheld_interface", fault,
     "where host->get() gives NULL do without, or refuse in create() with a sentence; or name "
     "the interface in requires_ids"},
    {"host_failure", fault,
     "every host function that returns gh_status or a pointer may fail: look at what it returned"},
    {"later_host", fault,
     "ask for at least GH_SIZE_1_0 of a struct_size, never for one size; step through arrays with GH_NEXT; take any "
     "abi_minor "
     "that is not below your own"},
    // Whatever it was doing.
    {"wrote_to_pipe", fault, "write to descriptors of your own alone"},
    {"closed_pipe", fault, "close descriptors of your own alone: the others are the host's, and other plugins'"},
    {"leaked_processes", fault, "begin few processes, and see to their end in destroy(), at the latest"},
    {"killed_others", fault, "send signals to processes of your own alone"},
    {"crash", fault, "run the step under a debugger or with -fsanitize=address,undefined"},
    {"hang", fault, "no call blocks: neither on the network nor on a lock that a lane may hold"},
    {"exception", fault,
     "no function of a plugin throws: catch everything at the border, and leave its words in `why`"},
    {"ended_process", fault, "never call exit(), abort() or quick_exit(): the process is everybody's"},
};

}  // namespace

std::span<const FindingKind> finding_kinds() noexcept { return kKinds; }

const FindingKind& finding_kind(std::string_view id) {
  const auto* const found =
      std::find_if(std::begin(kKinds), std::end(kKinds), [id](auto& one) { return one.id == id; });
  if (found == std::end(kKinds)) throw std::logic_error("there is no finding `" + std::string(id) + '`');
  return *found;
}

}  // namespace gatehouse::conformance
