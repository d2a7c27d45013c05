// SPDX-License-Identifier: BSD-3-Clause
// The rules of every implementation, over TLS.
#include "session/tls/tls.hpp"
#include "support/session_rules.hpp"

namespace chaincast {
namespace {

using test::SessionImplementation;
using test::SessionRules;

class Maker final : public test::SessionMaker {
 public:
  Result<std::unique_ptr<session::Sessions>> make(const session::Config& config,
                                                  const crypto::Signer& signer) override {
    return session::tls::make_tls(config, signer);
  }
};

constexpr SessionImplementation over_tls = {"OverTls", [](const crypto::Toolbox&) {
                                              return std::unique_ptr<test::SessionMaker>(new Maker);
                                            }};

INSTANTIATE_TEST_SUITE_P(Tls, SessionRules, testing::Values(over_tls),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace chaincast
