// SPDX-License-Identifier: BSD-3-Clause
#include "ctl.hpp"

int main(int argc, char** argv) {
  return chaincast::ctl::run(std::vector<std::string>(argv + 1, argv + argc));
}
