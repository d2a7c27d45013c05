// SPDX-License-Identifier: BSD-3-Clause
#include "floor/floor.hpp"

#include <fmt/core.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "crypto/sha256_lanes.hpp"

namespace chaincast::bench {

namespace {

bool is_strict(wire::Suite suite) {
  return suite == wire::Suite::sha256_gmac || suite == wire::Suite::sha256_gcm;
}

void fill(uint8_t* bytes, unsigned count, uint64_t number) {
  Random random(number);
  store_be64(bytes, number);
  for (unsigned at = 8; at < count; ++at) bytes[at] = static_cast<uint8_t>(random.next());
}

}  // namespace

Floor::Floor(const Cell& cell, Hash hash, const Pools& pools)
    : cell_(cell),
      pools_(pools),
      buffers_(cell.mtu_bytes > 1500 ? pools.jumbo : pools.received),
      is_strict_(is_strict(cell.suite)),
      has_lanes_(hash == Hash::lanes && crypto::has_sha256_lanes()),
      frame_bytes_(56u + cell.unit_bytes),
      frames_bytes_(cell.bundle * frame_bytes_),
      manager_(alloc_mb_mgr(0)),
      device_(std::make_unique<Device>(
          DeviceConfig{"net_null0", buffers_, cell.mtu_bytes, {{10, 0, 0, 1}, 7000}, cell.sink})),
      digests_(size_t{burst_max} * cell.bundle),
      jobs_(digests_.size()) {
  for (crypto::FrameJob& job : jobs_) job_list_.push_back(&job);
  CC_ASSERT(manager_ != nullptr);
  init_mb_mgr_auto(manager_.get(), nullptr);
  const std::array<uint8_t, 32> secret = {7};
  IMB_AES256_GCM_PRE(manager_.get(), secret.data(), &key_);
}

Floor::~Floor() = default;

void Floor::prepare(unsigned datagrams) {
  std::vector<rte_mbuf*> arrivals;
  for (unsigned d = 0; d < datagrams; ++d) {
    rte_mbuf* const mbuf = rte_pktmbuf_alloc(buffers_);
    CC_ASSERT(mbuf != nullptr);
    char* const room = rte_pktmbuf_append(mbuf, static_cast<uint16_t>(arrival_bytes()));
    CC_ASSERT(room != nullptr);
    std::memset(room, 0, header_bytes);
    fill(reinterpret_cast<uint8_t*>(room) + header_bytes, frames_bytes_, made_++);
    arrivals.push_back(mbuf);
  }
  device_->offer(std::move(arrivals));
}

const uint8_t* Floor::frame(const rte_mbuf* packet, unsigned index) const noexcept {
  return rte_pktmbuf_mtod(packet, const uint8_t*) + header_bytes + index * frame_bytes_;
}

void Floor::hash(rte_mbuf* const* packets, unsigned count) noexcept {
  IMB_MGR* const mb = manager_.get();
  for (unsigned i = 0; i < count * cell_.bundle; ++i) {
    IMB_JOB* const job = IMB_GET_NEXT_JOB(mb);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    job->src = frame(packets[i / cell_.bundle], i % cell_.bundle);
    job->dst = digests_[i].data();
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = hashed_header_bytes + cell_.unit_bytes;
    job->msg_len_to_cipher_in_bytes = 0;
    job->auth_tag_output = digests_[i].data();
    job->auth_tag_output_len_in_bytes = 32;
    IMB_SUBMIT_JOB_NOCHECK(mb);
  }
  while (IMB_FLUSH_JOB(mb) != nullptr) {
  }
}

void Floor::hash_on_lanes(rte_mbuf* const* packets, unsigned count) noexcept {
  const unsigned frames = count * cell_.bundle;
  for (unsigned i = 0; i < frames; ++i) {
    jobs_[i].frame = frame(packets[i / cell_.bundle], i % cell_.bundle);
    jobs_[i].frame_bytes = static_cast<uint16_t>(frame_bytes_);
  }
  crypto::sha256_lanes({job_list_.data(), frames});
  for (unsigned i = 0; i < frames; ++i) digests_[i] = jobs_[i].digest;
}

void Floor::tag(rte_mbuf* const* packets, unsigned count) noexcept {
  std::array<uint8_t, 16> out;
  for (unsigned i = 0; i < count * cell_.bundle; ++i) {
    const uint8_t* const at =
        is_strict_ ? digests_[i].data() : frame(packets[i / cell_.bundle], i % cell_.bundle);
    const uint64_t bytes = is_strict_ ? 32 : hashed_header_bytes + cell_.unit_bytes;
    // Twelve bytes that differ from frame to frame stand for the nonce.
    IMB_AES256_GCM_ENC(manager_.get(), &key_, &context_, out.data(), out.data(), 0, at, at, bytes,
                       out.data(), out.size());
    tags_ += load_be64(out.data());
  }
}

void Floor::send(rte_mbuf** packets, unsigned count) noexcept {
  std::array<rte_mbuf*, burst_max> out;
  for (unsigned i = 0; i < count; ++i) {
    rte_pktmbuf_adj(packets[i], header_bytes);
    rte_mbuf_refcnt_set(packets[i], static_cast<uint16_t>(cell_.fanout));
  }
  for (unsigned peer = 0; peer < cell_.fanout; ++peer) {
    CC_ASSERT(rte_mempool_get_bulk(pools_.headers, reinterpret_cast<void**>(out.data()), count) ==
              0);
    header_[5] = static_cast<uint8_t>(peer);
    for (unsigned i = 0; i < count; ++i) {
      rte_mbuf* const mbuf = out[i];
      mbuf->data_off = RTE_PKTMBUF_HEADROOM;
      mbuf->data_len = header_bytes;
      mbuf->pkt_len = header_bytes + frames_bytes_;
      mbuf->nb_segs = 2;
      mbuf->next = packets[i];
      std::memcpy(rte_pktmbuf_mtod(mbuf, uint8_t*), header_.data(), header_bytes);
    }
    const unsigned sent =
        rte_eth_tx_burst(device_->id(), 0, out.data(), static_cast<uint16_t>(count));
    CC_ASSERT(sent == count);
  }
}

unsigned Floor::turn() noexcept {
  std::array<rte_mbuf*, burst_max> packets;
  const unsigned got = rte_eth_rx_burst(device_->id(), 0, packets.data(), burst_max);
  if (got == 0) return 0;
  if (is_strict_ && has_lanes_) hash_on_lanes(packets.data(), got);
  if (is_strict_ && !has_lanes_) hash(packets.data(), got);
  tag(packets.data(), got);
  send(packets.data(), got);
  return got;
}

void Floor::run() {
  while (turn() > 0 || !device_->is_over()) {
  }
}

std::string Floor::check() {
  if (device_->sent() != device_->received() * cell_.fanout) {
    return fmt::format("{} datagrams, {} sent to {} peers", device_->received(), device_->sent(),
                       cell_.fanout);
  }
  Bytes expected(frames_bytes_);
  for (const Bytes& packet : device_->samples()) {
    if (packet.size() != arrival_bytes()) return "a copy of another size";
    fill(expected.data(), frames_bytes_, load_be64(packet.data() + header_bytes));
    if (!std::equal(expected.begin(), expected.end(), packet.begin() + header_bytes)) {
      return "a copy with another content";
    }
  }
  return device_->samples().empty() || (tags_ == 0 && made_ > 0) ? "nothing was done" : "";
}

}  // namespace chaincast::bench
