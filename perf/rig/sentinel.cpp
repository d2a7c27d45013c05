// SPDX-License-Identifier: BSD-3-Clause
#include "rig/sentinel.hpp"

#include <intel-ipsec-mb.h>
#include <rte_cycles.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/assert.hpp"
#include "rig/machine.hpp"

namespace chaincast::bench {

namespace {

constexpr unsigned message_bytes = 1400;
constexpr unsigned messages = 16;
constexpr unsigned trials = 25;
constexpr unsigned gcm_rounds = 2;

struct FreeManager {
  void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};

template <typename Body>
double median_ns(unsigned items, Body&& body) {
  std::array<uint64_t, trials> cycles;
  for (uint64_t& one : cycles) {
    const uint64_t start = rte_rdtsc_precise();
    body();
    one = rte_rdtsc_precise() - start;
  }
  std::nth_element(cycles.begin(), cycles.begin() + trials / 2, cycles.end());
  return ns_of_cycles(cycles[trials / 2]) / items;
}

}  // namespace

struct Sentinel::Impl {
  Impl() : manager(alloc_mb_mgr(0)) {
    CC_ASSERT(manager != nullptr);
    init_mb_mgr_auto(manager.get(), nullptr);
    const std::array<uint8_t, 32> secret = {7};
    IMB_AES256_GCM_PRE(manager.get(), secret.data(), &key);
  }
  void hash();
  void encrypt();

  std::unique_ptr<IMB_MGR, FreeManager> manager;
  alignas(64) gcm_key_data key{};
  gcm_context_data context{};
  alignas(64) std::array<std::array<uint8_t, message_bytes>, messages> data{};
  std::array<std::array<uint8_t, 32>, messages> digests{};
};

void Sentinel::Impl::hash() {
  IMB_MGR* const mb = manager.get();
  for (unsigned i = 0; i < messages; ++i) {
    IMB_JOB* const job = IMB_GET_NEXT_JOB(mb);
    job->cipher_mode = IMB_CIPHER_NULL;
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_HASH_CIPHER;
    job->hash_alg = IMB_AUTH_SHA_256;
    job->src = data[i].data();
    job->dst = data[i].data();
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = message_bytes;
    job->msg_len_to_cipher_in_bytes = 0;
    job->auth_tag_output = digests[i].data();
    job->auth_tag_output_len_in_bytes = 32;
    IMB_SUBMIT_JOB_NOCHECK(mb);
  }
  while (IMB_FLUSH_JOB(mb) != nullptr) {
  }
}

void Sentinel::Impl::encrypt() {
  const std::array<uint8_t, 12> nonce{};
  std::array<uint8_t, 16> tag;
  for (auto& message : data) {
    IMB_AES256_GCM_ENC(manager.get(), &key, &context, message.data(), message.data(), message_bytes,
                       nonce.data(), nonce.data(), 8, tag.data(), tag.size());
  }
}

Sentinel::Sentinel() : impl_(std::make_unique<Impl>()) {}
Sentinel::~Sentinel() = default;

Sentinel::Reading Sentinel::read() {
  Impl& impl = *impl_;
  Reading out;
  impl.hash();
  out.sha_ns = median_ns(messages, [&] { impl.hash(); });
  impl.encrypt();
  out.gcm_ns = median_ns(messages * gcm_rounds, [&] {
    for (unsigned i = 0; i < gcm_rounds; ++i) impl.encrypt();
  });
  return out;
}

}  // namespace chaincast::bench
