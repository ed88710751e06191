// What each step of the check does; it runs in a process of its own (step.hpp), and tells what it finds.
#pragma once

#include "gateway/conformance/subject.hpp"

#include <string>

namespace gatehouse::conformance {

/// Loads it, goes through the handshake, and reads the manifest. Facts: "manifest", an object with what a report has of
/// it, and "optional", ids of the interfaces that it does not require.
void check_handshake(const Subject& subject, Notes& notes);

/// The schema of the options, and what configure() says to values that it allows, and to others.
void check_options(const Subject& subject, Notes& notes);

/// configure() with GH_CONFIGURE_CHECK opens nothing, begins nothing and writes nothing.
void check_dry_run(const Subject& subject, Notes& notes);

/// 200 times create(), configure() and destroy(): nothing grows.
void check_cycles(const Subject& subject, Notes& notes);

/// A life with two lanes and clients that send whatever comes to mind: heartbeat, changes, drain and stop while they go
/// on, and what is left afterwards. Fact: "called", names of the host's functions.
void check_load(const Subject& subject, Notes& notes);

/// The same, shorter, in a host of the next minor, whose structs have grown.
void check_later_host(const Subject& subject, Notes& notes);

/// The same, without that interface.
void check_withheld(const Subject& subject, const std::string& interface, Notes& notes);

/// The same, where the first call of that function of the host fails.
void check_host_failure(const Subject& subject, const std::string& function, Notes& notes);

}  // namespace gatehouse::conformance
