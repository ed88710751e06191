#include "plugins/packet-tunnel/client/run_client.hpp"

int main(int argc, char** argv) { return gatehouse::packet_tunnel::run_client(argc, argv); }
