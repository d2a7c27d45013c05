// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "crypto/crypto.hpp"

// The scalar FrameEngine: one frame after the other, straight from the text of docs/security.md.
namespace chaincast::crypto::openssl {

std::unique_ptr<FrameEngine> make_reference_engine();

}  // namespace chaincast::crypto::openssl
