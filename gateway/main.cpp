#include "gateway/cli/cli.hpp"

int main(int argc, char** argv) { return gatehouse::run_cli(argc, argv); }
