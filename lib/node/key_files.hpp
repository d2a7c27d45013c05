// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "node/config.hpp"

// What the key and secret files of a configuration hold, beside their names: kept with it, so that
// a file that has another content is a change, and a change that is taken back finds the old one.
// Control thread; these calls wait for the disk. Errors name the item and the file.
namespace chaincast::node {

// Nothing where it has been read already.
Status read_secret(PeerConfig& peer);
Status read_secret(StreamConfig& stream);
Status read_genesis(MembershipConfig& membership, const crypto::Toolbox& toolbox);
// All that the configuration names.
Status read_key_files(Config& config, const crypto::Toolbox& toolbox);

}  // namespace chaincast::node
