// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <string_view>

#include "base/assert.hpp"
#include "crypto/crypto.hpp"
#include "crypto/frame_rules.hpp"
#include "wire/labels.hpp"

namespace chaincast::crypto {
namespace {

Secret expand(const Toolbox& toolbox, const Secret& secret, ByteSpan info) {
  const Bytes bytes = toolbox.hkdf_expand(secret, info, sizeof(Secret));
  CC_ASSERT(bytes.size() == sizeof(Secret));
  Secret out;
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

Bytes with_context(std::string_view label, wire::Suite suite, ByteSpan network,
                   const Digest& descriptor_digest, Epoch epoch) {
  Bytes out(label.begin(), label.end());
  out.push_back(static_cast<uint8_t>(suite));
  out.insert(out.end(), network.begin(), network.end());
  out.insert(out.end(), descriptor_digest.begin(), descriptor_digest.end());
  out.resize(out.size() + sizeof epoch);
  store_be32(out.data() + out.size() - sizeof epoch, epoch);
  return out;
}

}  // namespace

StreamSecrets secrets_from_configured(const Toolbox& toolbox, const Secret& configured) {
  StreamSecrets out;
  out.authenticate = expand(toolbox, configured, as_bytes(wire::label_authenticate));
  out.encrypt = expand(toolbox, configured, as_bytes(wire::label_encrypt));
  out.has_encrypt = true;
  return out;
}

FrameKeys derive_frame_keys(const Toolbox& toolbox, const StreamSecrets& secrets, wire::Suite suite,
                            ByteSpan network, const Digest& descriptor_digest, Epoch epoch) {
  CC_ASSERT(network.size() == 32);
  FrameKeys out;
  out.kmac = expand(toolbox, secrets.authenticate,
                    with_context(wire::label_mac, suite, network, descriptor_digest, epoch));
  out.has_kenc = secrets.has_encrypt && is_confidential(suite);
  if (out.has_kenc) {
    out.kenc = expand(toolbox, secrets.encrypt,
                      with_context(wire::label_enc, suite, network, descriptor_digest, epoch));
  }
  return out;
}

}  // namespace chaincast::crypto
