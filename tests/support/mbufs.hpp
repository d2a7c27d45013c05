// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>

#include <initializer_list>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "support/random.hpp"

// Packets for port tests.
namespace chaincast::test {

// One packet whose content is spread over segments of the given sizes (0 excluded).
inline rte_mbuf* make_packet(rte_mempool* pool, ByteSpan content,
                             std::initializer_list<size_t> cuts = {}) {
  rte_mbuf* head = nullptr;
  size_t at = 0;
  auto add = [&](size_t count) {
    rte_mbuf* segment = rte_pktmbuf_alloc(pool);
    CC_ASSERT(segment != nullptr);
    void* room = rte_pktmbuf_append(segment, static_cast<uint16_t>(count));
    CC_ASSERT(room != nullptr);
    if (count > 0) std::memcpy(room, content.data() + at, count);
    at += count;
    if (head == nullptr) {
      head = segment;
    } else {
      CC_ASSERT(rte_pktmbuf_chain(head, segment) == 0);
    }
  };
  for (const size_t cut : cuts) {
    if (at < content.size()) add(std::min(cut, content.size() - at));
  }
  if (at < content.size() || head == nullptr) add(content.size() - at);
  return head;
}

// The content of all segments.
inline Bytes bytes_of(const rte_mbuf* packet) {
  Bytes out;
  for (const rte_mbuf* segment = packet; segment != nullptr; segment = segment->next) {
    const auto* data = rte_pktmbuf_mtod(segment, const uint8_t*);
    out.insert(out.end(), data, data + segment->data_len);
  }
  return out;
}

}  // namespace chaincast::test
