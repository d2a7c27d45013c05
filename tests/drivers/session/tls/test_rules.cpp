// SPDX-License-Identifier: BSD-3-Clause
// The rules of every implementation, over TLS.
#include "rig.hpp"
#include "support/session_rules.hpp"

namespace chaincast::test {

INSTANTIATE_TEST_SUITE_P(Tls, SessionRules, testing::Values(over_tls),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace chaincast::test
