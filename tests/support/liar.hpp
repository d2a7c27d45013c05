// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <memory>
#include <optional>

#include "node/node.hpp"
#include "stream/descriptor.hpp"
#include "wire/frame.hpp"

// A member that lies about one stream: it has the group's key, honest links, and a node that does
// all else as everyone does. For tests of votes. Control thread.
namespace chaincast::test {

class Liar {
 public:
  Liar(node::Node& node, const crypto::Toolbox& toolbox)
      : node_(node), toolbox_(toolbox), engine_(toolbox.reference_engine()) {}

  // The first stream that is not its own; null before it knows one.
  const node::Carried* stream() const {
    for (const auto& [id, carried] : node_.carrier().carried()) {
      if (!carried->origin) return carried.get();
    }
    return nullptr;
  }

  // Vouches to every peer for frames that nobody has sent: those that come next.
  void vouch_falsely() {
    wire::Votes lie;
    lie.stream = stream()->stream->id;
    lie.first_seq = stream()->receiver->status().highest_seen + 1;
    for (size_t i = 0; i < wire::votes_max; ++i) lie.digests.push_back(Digest{0xbd});
    for (const uint32_t peer : node_.peering().peers_up()) node_.peering().send(peer, lie);
  }

  // Sends every peer a frame in place of the origin's next one, under the group's key and linked to
  // the last one: whoever has nothing better links it. Vouches for it. Nothing while frames move.
  bool forge_next() {
    const node::Carried& carried = *stream();
    const Seq last = carried.receiver->status().highest_seen;
    const std::optional<Digest> before = carried.receiver->digest_of(last);
    if (!before || carried.receiver->status().linked_next != last + 1) return false;
    Bytes frame(wire::frame_header_bytes + 3, 0xbd);
    wire::FrameHeader header;
    header.payload_bytes = 3;
    header.kind = wire::kind_first | wire::kind_last;
    header.suite = static_cast<uint8_t>(carried.stream->descriptor.suite);
    header.stream = carried.stream->id;
    header.seq = last + 1;
    std::copy_n(before->begin(), header.link.size(), header.link.begin());
    wire::store_frame_header(frame.data(), header);
    const stream::SignedDescriptor descriptor{carried.stream->descriptor, carried.stream->encoded,
                                              carried.stream->descriptor_digest,
                                              carried.stream->id};
    const auto& resource = *node_.carrier().resources().at(carried.resource);
    const auto key = stream::make_frame_key(descriptor, 0, *resource.secrets, toolbox_, *engine_);
    if (!key.ok()) return false;
    wire::Votes vote;
    vote.stream = carried.stream->id;
    vote.first_seq = last + 1;
    vote.digests = {engine_->seal(**key, frame.data(), static_cast<uint16_t>(frame.size()))};
    for (const uint32_t peer : node_.peering().peers_up()) {
      node_.mailer().resend(peer, frame);
      node_.peering().send(peer, vote);
    }
    return true;
  }

 private:
  node::Node& node_;
  const crypto::Toolbox& toolbox_;
  std::unique_ptr<crypto::FrameEngine> engine_;
};

}  // namespace chaincast::test
