// SPDX-License-Identifier: BSD-3-Clause
// A link machine under a peer that knows the secret and says anything: a sequence of datagrams,
// each behind its length (2 bytes) and a mode (1 byte), with the clock moving between them.
#include <algorithm>
#include <cstring>

#include "crypto/openssl/toolbox.hpp"
#include "fuzz.hpp"
#include "hop/lane.hpp"
#include "hop/links.hpp"
#include "stage/burst.hpp"
#include "wire/datagram.hpp"

namespace {

using namespace chaincast;

constexpr unsigned datagrams_max = 64;
enum Mode : uint8_t { raw = 0, signed_hello = 1, echoing_hello = 2, sealed = 3, modes = 4 };

NodeId id_of(const crypto::Toolbox& toolbox, ByteSpan key) {
  const Digest digest = toolbox.sha256(key);
  NodeId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

// The machine under test, and what is needed to speak to it with authority.
struct Target {
  Target() {
    hop::LinksConfig config;
    config.node = id_of(*toolbox, config.key);
    config.allocate_link_id = [this](uint32_t random) { return table->allocate(random); };
    config.release_link_id = [this](uint32_t id) { table->remove(id); };
    links = std::make_unique<hop::Links>(std::move(config), *toolbox, 1);
    hop::LinkConfig peer;
    peer.name = "peer";
    peer.remote.port = 7000;
    CC_ASSERT(links->add(peer, now_ns).ok());
    const Secret prk = toolbox->hkdf_extract(as_bytes("chaincast1"), peer.secret);
    hello_key = toolbox->hkdf_expand(prk, as_bytes("chaincast1 hello"), sizeof(Secret));
  }

  // Sender id, echo and mac made right; the rest is the input's.
  Bytes sign(ByteSpan body, bool echoes) const {
    Bytes out(body.begin(), body.end());
    out.resize(std::max(out.size(), wire::hello_bytes_min));
    const NodeId id = id_of(*toolbox, ByteSpan(out).subspan(20, 32));
    std::copy(id.bytes.begin(), id.bytes.end(), out.begin() + 4);
    if (echoes) std::copy(last_nonce.begin(), last_nonce.end(), out.begin() + 68);
    const Digest mac = toolbox->hmac_sha256(hello_key, ByteSpan(out).first(out.size() - 32));
    std::copy(mac.begin(), mac.end(), out.end() - 32);
    const auto header = wire::hello_hop_header();
    out.insert(out.begin(), header.begin(), header.end());
    return out;
  }

  void step(uint8_t mode, ByteSpan body) {
    Bytes datagram(body.begin(), body.end());
    if (mode % modes == signed_hello) datagram = sign(body, false);
    if (mode % modes == echoing_hello) datagram = sign(body, true);
    hop::LinkOutput out;
    Endpoint from;
    from.port = 7000;
    const uint32_t peer = mode % modes == sealed ? 0 : stage::no_peer;
    links->receive(from, datagram, peer, now_ns, out);
    now_ns += (mode / modes) * 50 * ns_per_ms;
    if (links->next_timer_ns() <= now_ns) links->tick(now_ns, out);
    CC_ASSERT(links->next_timer_ns() > now_ns);
    CC_ASSERT(out.transmits.size() <= 10 && out.events.size() <= 10);
    for (const hop::LinkTransmit& transmit : out.transmits) {
      if (!transmit.is_hello) continue;
      const auto hello = wire::parse_hello(wire::read_hello(transmit.bytes).encoded);
      CC_ASSERT(hello.ok());
      last_nonce = hello->nonce;
    }
  }

  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  std::unique_ptr<hop::LaneTable> table = std::make_unique<hop::LaneTable>();
  std::unique_ptr<hop::Links> links;
  Bytes hello_key;
  std::array<uint8_t, 16> last_nonce{};
  TimeNs now_ns = ns_per_s;
};

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Target target;
  ByteReader in({data, size});
  for (unsigned i = 0; i < datagrams_max && in.left() >= 3; ++i) {
    const size_t bytes = in.be16();
    const uint8_t mode = in.u8();
    target.step(mode, in.bytes(std::min(bytes, in.left())));
  }
  return 0;
}
