// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "crypto/crypto.hpp"
#include "dedup/window.hpp"
#include "wire/descriptor.hpp"

// Signing and checking of descriptors and statements, and what follows from a descriptor: stream
// id, window, keys. Pure functions; control thread (a signature costs about 50 us to make and 70 us
// to check).
namespace chaincast::stream {

// A descriptor whose signature holds, with everything derived from its encoding.
struct SignedDescriptor {
  wire::Descriptor descriptor;
  Bytes encoded;    // as it travels
  Digest digest{};  // SHA-256 of it
  StreamId id;      // first 8 bytes of that
};

// Sets origin key and a fresh incarnation, signs. `invalid` names the value out of range.
Result<SignedDescriptor> sign_descriptor(wire::Descriptor descriptor,
                                         const crypto::Toolbox& toolbox,
                                         const crypto::Signer& signer);
// Parses and checks a descriptor from the network: structure, network id, signature. `refused` for
// another network or a bad signature.
Result<SignedDescriptor> check_descriptor(ByteSpan encoded, const std::array<uint8_t, 32>& network,
                                          const crypto::Toolbox& toolbox);

void sign_statement(wire::Statement& statement, const std::array<uint8_t, 32>& network,
                    const crypto::Signer& signer);
// Only the signature by the descriptor's origin; the caller compares the other fields.
bool check_statement(const wire::Statement& statement, const wire::Descriptor& descriptor,
                     const crypto::Toolbox& toolbox);

// False for the cut-through suites, whose relays do not hash.
bool links_by_digest(wire::Suite suite) noexcept;
bool is_confidential(wire::Suite suite) noexcept;

// The window that the descriptor asks for. Its floor is tied to the origin's signature, so the
// stream needs a Receiver on this node that checks statements; else it stands still after W frames.
dedup::WindowConfig window_config(const wire::Descriptor& descriptor);

// The frame key of one epoch. Fails where the engine does not know the suite.
Result<std::unique_ptr<crypto::SuiteKey>> make_frame_key(const SignedDescriptor& signed_descriptor,
                                                         Epoch epoch,
                                                         const crypto::StreamSecrets& secrets,
                                                         const crypto::Toolbox& toolbox,
                                                         crypto::FrameEngine& engine);

}  // namespace chaincast::stream
