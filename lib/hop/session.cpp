// SPDX-License-Identifier: BSD-3-Clause
#include "hop/session.hpp"

#include <algorithm>

#include "wire/datagram.hpp"
#include "wire/labels.hpp"

namespace chaincast::hop {

Secret derive_hello_key(const crypto::Toolbox& toolbox, const Secret& secret) {
  const Secret prk = toolbox.hkdf_extract(as_bytes(wire::salt_hello), secret);
  const Bytes key = toolbox.hkdf_expand(prk, as_bytes(wire::label_hello), sizeof(Secret));
  Secret out;
  std::copy_n(key.begin(), out.size(), out.begin());
  return out;
}

Session::Session(const crypto::Toolbox& toolbox, const Secret& secret, const NodeId& own,
                 const NodeId& peer, const Nonce& ask, const Nonce& answer)
    : toolbox_(toolbox), own_(own), peer_(peer), ask_(ask), answer_(answer) {
  std::array<uint8_t, 2 * sizeof(Nonce)> salt;
  std::copy(ask.begin(), ask.end(), salt.begin());
  std::copy(answer.begin(), answer.end(), salt.begin() + sizeof(Nonce));
  prk_ = toolbox.hkdf_extract(salt, secret);
  tx_ = toolbox.aead(control_key(own_, peer_));
  rx_ = toolbox.aead(control_key(peer_, own_));
}

crypto::LinkKey Session::lane_key(const NodeId& from, const NodeId& to, uint8_t lane) const {
  ByteWriter info;
  info.text(wire::label_link).bytes(from.bytes).bytes(to.bytes).u8(lane);
  std::array<uint8_t, 16> key;
  const Bytes expanded = toolbox_.hkdf_expand(prk_, info.buffer(), key.size());
  std::copy_n(expanded.begin(), key.size(), key.begin());
  return crypto::expand_link_key(key);
}

Secret Session::control_key(const NodeId& from, const NodeId& to) const {
  ByteWriter info;
  info.text(wire::label_control).bytes(from.bytes).bytes(to.bytes);
  const Bytes expanded = toolbox_.hkdf_expand(prk_, info.buffer(), sizeof(Secret));
  Secret key;
  std::copy_n(expanded.begin(), key.size(), key.begin());
  return key;
}

crypto::LinkKey Session::tx_lane_key(uint8_t lane) const {
  return lane_key(own_, peer_, lane);
}

crypto::LinkKey Session::rx_lane_key(uint8_t lane) const {
  return lane_key(peer_, own_, lane);
}

Bytes Session::seal(ByteSpan plaintext, uint32_t& tag_xor) {
  const uint64_t counter = ++tx_counter_;
  CC_ASSERT(counter != 0);
  const wire::HopHeader hop;
  const auto aad = wire::control_aad(hop.version, hop.flags, counter);
  const Bytes sealed = tx_->seal(counter, aad, plaintext);
  ByteWriter out;
  out.buffer().reserve(wire::control_overhead_bytes + plaintext.size());
  out.buffer().resize(wire::hop_header_bytes);
  wire::store_hop_header(out.buffer().data(), hop);
  out.be64(counter).bytes(sealed);
  tag_xor = wire::tag_words_xor(sealed.data() + sealed.size() - wire::control_tag_bytes);
  return out.take();
}

Session::Opened Session::open(ByteSpan datagram, Bytes& plaintext) {
  const wire::SealedControl sealed = wire::read_sealed_control(datagram);
  if (sealed.fault != wire::DatagramFault::none) return Opened::malformed;
  if (rx_window_.judge(sealed.counter) != ReplayWindow::Verdict::fresh) return Opened::replayed;
  const auto aad = wire::control_aad(sealed.hop.version, sealed.hop.flags, sealed.counter);
  Result<Bytes> opened = rx_->open(sealed.counter, aad, sealed.sealed);
  if (!opened) return Opened::bad_seal;
  rx_window_.accept(sealed.counter);
  plaintext = std::move(opened).value();
  return Opened::ok;
}

}  // namespace chaincast::hop
