// SPDX-License-Identifier: BSD-3-Clause
#include "node/mailer.hpp"

#include <algorithm>
#include <cstring>

#include "wire/frame.hpp"

namespace chaincast::node {

Mailer::Mailer(Plane& plane, rte_mempool* pool, std::function<void()> wait_turn)
    : plane_(plane), pool_(pool), wait_turn_(std::move(wait_turn)), posted_(plane.workers()) {}

unsigned Mailer::worker_of(StreamId stream) const {
  return static_cast<unsigned>(stream.value % plane_.workers());
}

bool Mailer::post(unsigned worker, Command&& command) {
  rte_mbuf* mbuf = command.mbuf;
  if (!plane_.mailboxes[worker]->commands.push(std::move(command))) {
    ++counters_.ring_full;
    rte_pktmbuf_free(mbuf);
    return false;
  }
  ++posted_[worker];
  ++counters_.posted;
  return true;
}

rte_mbuf* Mailer::make_mbuf(size_t headroom_bytes, ByteSpan bytes) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  const size_t total = headroom_bytes + bytes.size();
  char* data = mbuf == nullptr || total > rte_pktmbuf_tailroom(mbuf)
                   ? nullptr
                   : rte_pktmbuf_append(mbuf, static_cast<uint16_t>(total));
  if (data == nullptr) {
    rte_pktmbuf_free(mbuf);
    ++counters_.no_mbuf;
    return nullptr;
  }
  std::memset(data, 0, headroom_bytes);
  std::memcpy(data + headroom_bytes, bytes.data(), bytes.size());
  return mbuf;
}

bool Mailer::send_sealed(const hop::LinkTransmit& message) {
  Command command;
  command.kind = Command::Kind::sealed;
  command.peer = message.peer;
  command.tag_xor = message.tag_xor;
  command.mbuf = make_mbuf(0, message.bytes);
  return command.mbuf != nullptr && post(0, std::move(command));
}

Status Mailer::send_raw(port::Port& port, const hop::LinkTransmit& hello, uint16_t local_port) {
  auto to = port.destination(hello.to, local_port);
  if (!to) {
    ++counters_.unresolved;
    return to.error();
  }
  Command command;
  command.kind = Command::Kind::raw;
  command.port = &port;
  command.capabilities = port.capabilities();
  command.to = *to;
  command.mbuf = make_mbuf(0, hello.bytes);
  if (command.mbuf != nullptr) post(0, std::move(command));  // a loss is counted there
  return {};
}

bool Mailer::resend(uint32_t peer, ByteSpan frame) {
  Command command;
  command.kind = Command::Kind::resend;
  command.peer = peer;
  command.tag_xor = wire::tag_words_xor(frame.data() + wire::frame_offset_tag);
  command.mbuf = make_mbuf(wire::hop_header_bytes, frame);
  if (command.mbuf == nullptr) return false;
  wire::HopHeader header;
  header.frame_count = 1;
  header.hops = 1;
  wire::store_hop_header(rte_pktmbuf_mtod(command.mbuf, uint8_t*), header);
  return post(0, std::move(command));
}

bool Mailer::send_own(StreamId stream, ByteSpan frame, const Digest& digest) {
  Command command;
  command.kind = Command::Kind::own;
  command.stream = stream;
  command.digest = digest;
  command.mbuf = make_mbuf(wire::hop_header_bytes, frame);
  return command.mbuf != nullptr && post(worker_of(stream), std::move(command));
}

size_t Mailer::own_room(StreamId stream) const {
  const auto& ring = plane_.mailboxes[worker_of(stream)]->commands;
  // Half the ring stays free for control messages.
  const size_t used = ring.size();
  const size_t share = ring.capacity() / 2;
  // A frame that was sealed must not be lost here: never take the last buffers.
  const size_t buffers = rte_mempool_avail_count(pool_) / 4;
  return used >= share ? 0 : std::min(share - used, buffers);
}

void Mailer::drain(const std::shared_ptr<fanout::PeerState>& state) {
  for (unsigned w = 0; w < plane_.workers(); ++w) {
    Command command;
    command.kind = Command::Kind::drain;
    command.state = state;
    post(w, std::move(command));
  }
}

bool Mailer::flush() {
  for (int turn = 0; turn < 100; ++turn) {
    bool done = true;
    for (unsigned w = 0; w < plane_.workers(); ++w) {
      const auto& count = plane_.mailboxes[w]->commands_done;
      done = done && count.load(std::memory_order_acquire) >= posted_[w];
    }
    if (done) return true;
    wait_turn_();
  }
  return false;
}

}  // namespace chaincast::node
