// SPDX-License-Identifier: BSD-3-Clause
#include "fanout/impl.hpp"

#include "base/assert.hpp"

namespace chaincast::fanout {

Fanout::Fanout(const FanoutConfig& config) : impl_(std::make_unique<Impl>(config)) {
  CC_ASSERT(config.worker < workers_max);
  CC_ASSERT(config.tx_inflight_max > 0);
}

Fanout::~Fanout() = default;

void Fanout::observe(stage::Observer* observer) noexcept {
  impl_->outbox.observe(observer);
}

}  // namespace chaincast::fanout
