// SPDX-License-Identifier: BSD-3-Clause
#include "stream/descriptor.hpp"

#include "wire/frame.hpp"

namespace chaincast::stream {
namespace {

SignedDescriptor derive(wire::Descriptor descriptor, Bytes encoded,
                        const crypto::Toolbox& toolbox) {
  SignedDescriptor result;
  result.descriptor = std::move(descriptor);
  result.encoded = std::move(encoded);
  result.digest = toolbox.sha256(result.encoded);
  result.id.value = load_be64(result.digest.data());
  return result;
}

}  // namespace

Result<SignedDescriptor> sign_descriptor(wire::Descriptor descriptor,
                                         const crypto::Toolbox& toolbox,
                                         const crypto::Signer& signer) {
  if (Status good = wire::check_descriptor(descriptor); !good) return good.error();
  descriptor.origin = signer.public_key();
  toolbox.random_bytes(descriptor.incarnation);
  descriptor.signature = signer.sign(wire::descriptor_signed_bytes(descriptor));
  Bytes encoded = wire::encode(descriptor);
  return derive(std::move(descriptor), std::move(encoded), toolbox);
}

Result<SignedDescriptor> check_descriptor(ByteSpan encoded, const std::array<uint8_t, 32>& network,
                                          const crypto::Toolbox& toolbox) {
  auto parsed = wire::parse_descriptor(encoded);
  if (!parsed) return parsed.error();
  if (parsed->network != network) {
    return error(ErrorCode::refused, "descriptor of " + parsed->resource +
                                         ": belongs to another network; check the network name on "
                                         "both nodes");
  }
  if (!toolbox.verify_signature(parsed->origin, wire::descriptor_signed_bytes(*parsed),
                                parsed->signature)) {
    return error(ErrorCode::refused, "descriptor of " + parsed->resource +
                                         ": not signed by the origin it names; ignore it or look "
                                         "at the neighbour that sent it");
  }
  return derive(std::move(parsed.value()), Bytes(encoded.begin(), encoded.end()), toolbox);
}

void sign_statement(wire::Statement& statement, const std::array<uint8_t, 32>& network,
                    const crypto::Signer& signer) {
  statement.signature = signer.sign(wire::statement_signed_bytes(statement, network));
}

bool check_statement(const wire::Statement& statement, const wire::Descriptor& descriptor,
                     const crypto::Toolbox& toolbox) {
  return toolbox.verify_signature(descriptor.origin,
                                  wire::statement_signed_bytes(statement, descriptor.network),
                                  statement.signature);
}

bool links_by_digest(wire::Suite suite) noexcept {
  return suite != wire::Suite::sha256_gmac_ct && suite != wire::Suite::sha256_gcm_ct;
}

bool is_confidential(wire::Suite suite) noexcept {
  return suite == wire::Suite::sha256_gcm || suite == wire::Suite::sha256_gcm_ct;
}

dedup::WindowConfig window_config(const wire::Descriptor& descriptor) {
  dedup::WindowConfig config;
  config.size_log2 = descriptor.window_log2;
  config.slot_bytes =
      static_cast<uint32_t>(wire::frame_header_bytes + descriptor.payload_bytes_max);
  config.links_by_digest = links_by_digest(descriptor.suite);
  // Half a window: nothing that the origin has not signed yet is ever stale.
  config.signed_lead_max = uint64_t{1} << (descriptor.window_log2 - 1);
  // What is not accepted in time is delivered at final.
  config.floor_waits_for_final =
      descriptor.delivery != wire::Delivery::linked || descriptor.keeping == wire::Keeping::kept;
  return config;
}

Result<std::unique_ptr<crypto::SuiteKey>> make_frame_key(const SignedDescriptor& signed_descriptor,
                                                         Epoch epoch,
                                                         const crypto::StreamSecrets& secrets,
                                                         const crypto::Toolbox& toolbox,
                                                         crypto::FrameEngine& engine) {
  const wire::Descriptor& d = signed_descriptor.descriptor;
  const crypto::FrameKeys keys = crypto::derive_frame_keys(toolbox, secrets, d.suite, d.network,
                                                           signed_descriptor.digest, epoch);
  return engine.make_key(d.suite, epoch, keys.kmac, keys.has_kenc ? &keys.kenc : nullptr);
}

}  // namespace chaincast::stream
