// SPDX-License-Identifier: BSD-3-Clause
#include "rig/origin_relay.hpp"

#include <fmt/core.h>
#include <rte_cycles.h>

#include <algorithm>

#include "base/assert.hpp"
#include "wire/datagram.hpp"

namespace chaincast::bench {

namespace {

constexpr unsigned burst = 32;  // frames that control hands over at once

ProductConfig product_config(const Cell& cell, Device& device) {
  ProductConfig out;
  out.rx = {&device.port()};
  out.rx_macs = {device.mac()};
  out.tx = &device.port();
  out.tx_mac = device.mac();
  out.neighbours = 0;
  out.fanout = cell.fanout;
  out.datagram_bytes = cell.datagram_bytes;
  out.is_plain = cell.is_plain;
  out.own = bench_endpoint(0, 0);
  return out;
}

}  // namespace

OriginRelay::OriginRelay(const Cell& cell, const Pools& pools, const crypto::Toolbox& toolbox,
                         rcu::Reader& reader)
    : cell_(cell),
      pools_(pools),
      reader_(reader),
      sealing_(make_frame_engine(cell.is_plain)),
      device_(std::make_unique<Device>(DeviceConfig{"net_null0", pools.received, cell.mtu_bytes,
                                                    bench_endpoint(0, 0), cell.sink})),
      origin_(std::make_unique<Origin>(
          toolbox, *sealing_, OriginConfig{cell.suite, cell.unit_bytes, "bench", cell.is_plain})),
      product_(std::make_unique<Product>(product_config(cell, *device_), pools.headers,
                                         pools.received)) {
  product_->add_stream(origin_->stream(*sealing_));
}

OriginRelay::~OriginRelay() {
  product_.reset();
}

void OriginRelay::prepare(unsigned datagrams) {
  payloads_.resize(size_t{datagrams} * cell_.unit_bytes);
  for (unsigned i = 0; i < datagrams; ++i) {
    Origin::fill(payloads_.data() + size_t{i} * cell_.unit_bytes, cell_.unit_bytes,
                 origin_->next_seq() + i);
  }
  prepared_ = datagrams;
  next_ = 0;
}

// As node::Node's publisher: hop header and frame in one buffer, the digest beside it.
void OriginRelay::make_own(unsigned count) {
  node::Mailboxes& mailboxes = *product_->plane().mailboxes[0];
  const auto bytes =
      static_cast<uint16_t>(wire::hop_header_bytes + wire::frame_header_bytes + cell_.unit_bytes);
  for (unsigned i = 0; i < count; ++i, ++next_, ++made_) {
    rte_mbuf* const mbuf = rte_pktmbuf_alloc(pools_.received);
    CC_ASSERT(mbuf != nullptr);
    char* const room = rte_pktmbuf_append(mbuf, bytes);
    CC_ASSERT(room != nullptr);
    auto* const datagram = reinterpret_cast<uint8_t*>(room);
    wire::HopHeader hop;
    hop.frame_count = 1;
    wire::store_hop_header(datagram, hop);
    origin_->seal_next(datagram + wire::hop_header_bytes, cell_.unit_bytes,
                       payloads_.data() + size_t{next_} * cell_.unit_bytes);
    node::Command command;
    command.kind = node::Command::Kind::own;
    command.mbuf = mbuf;
    command.stream = origin_->id();
    command.digest = origin_->digest();
    CC_ASSERT(mailboxes.commands.push(std::move(command)));
  }
}

void OriginRelay::run() {
  const MonotonicClock clock;
  const uint64_t start = rte_rdtsc();
  while (next_ < prepared_ && rte_rdtsc() - start < device_->offer_cycles()) {
    make_own(std::min(burst, prepared_ - next_));
    product_->worker(0).step(clock.now_ns());
    reader_.quiescent();
  }
  while (product_->worker(0).step(clock.now_ns()) > 0) {
  }
}

std::string OriginRelay::check() {
  if (const std::string lost = product_->losses(); !lost.empty()) return "dropped:" + lost;
  if (copies() != made_ * cell_.fanout) {
    return fmt::format("{} frames made, {} copies for {} peers", made_, copies(), cell_.fanout);
  }
  for (const Bytes& packet : device_->samples()) {
    ByteSpan datagram;
    if (std::string wrong = product_->check_packet(packet, datagram); !wrong.empty()) {
      return "a copy: " + wrong;
    }
    wire::FrameWalker walker(datagram);
    wire::FrameView frame;
    while (walker.next(frame)) {
      if (std::string wrong = origin_->judge({frame.data, frame.bytes}); !wrong.empty()) {
        return "a copy: " + wrong;
      }
    }
  }
  return device_->samples().empty() ? "no copy was sampled" : "";
}

}  // namespace chaincast::bench
