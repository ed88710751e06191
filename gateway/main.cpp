#include "gateway/cli/cli.hpp"
#include "gateway/plugin/instance.hpp"

#include <cstdio>
#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  const int code = gatehouse::run_cli(argc, argv);
  if (gatehouse::abandoned_threads() == 0) return code;
  std::cout.flush();
  std::fflush(nullptr);
  std::_Exit(code);
}
