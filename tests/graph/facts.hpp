// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "crypto/openssl/toolbox.hpp"
#include "graph/view.hpp"

// Signed facts by numbered nodes, with the real Ed25519.
namespace chaincast::test {

class Facts {
 public:
  struct Listed final : graph::Admission {
    std::set<PublicKey> refused;
    bool admits(const PublicKey& key) const override { return !refused.contains(key); }
  };

  const crypto::Signer& signer(uint8_t number) {
    auto& signer = signers_[number];
    if (!signer) {
      Secret seed{};
      seed.fill(number);
      signer = toolbox->signer(seed);
    }
    return *signer;
  }
  NodeId id(uint8_t number) { return graph::id_of(*toolbox, signer(number).public_key()); }

  graph::RecordRef record(uint8_t number, uint64_t counter, std::vector<uint8_t> links = {},
                          bool has_left = false) {
    wire::NodeRecord said;
    said.counter = counter;
    said.has_left = has_left;
    Endpoint address;
    address.address[3] = number;
    address.port = 7000;
    said.addresses = {address};
    for (const uint8_t link : links) said.links.push_back({id(link), 1000u + link, false});
    std::sort(said.links.begin(), said.links.end());
    return graph::sign(std::move(said), authority, signer(number));
  }
  graph::AccusationRef accusation(uint8_t accuser, uint8_t suspect, uint64_t counter,
                                  uint32_t round = 0, std::vector<uint8_t> excused = {}) {
    wire::Suspicion said;
    said.suspect = id(suspect);
    said.counter = counter;
    said.round = round;
    for (const uint8_t e : excused) said.excused.push_back(id(e));
    std::sort(said.excused.begin(), said.excused.end());
    return graph::sign(std::move(said), authority, signer(accuser));
  }

  std::unique_ptr<crypto::Toolbox> toolbox = crypto::openssl::make_toolbox();
  Listed admission;
  graph::Authority authority{*toolbox, admission, Digest{7}};
  graph::Store store{*toolbox};

 private:
  std::map<uint8_t, std::unique_ptr<crypto::Signer>> signers_;
};

}  // namespace chaincast::test
