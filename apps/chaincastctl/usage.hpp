// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

// What chaincastctl takes, declared once: --help and chaincastctl(1).
namespace chaincast::ctl {

std::string usage_text();
std::string program_manual();

}  // namespace chaincast::ctl
