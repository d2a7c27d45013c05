// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <string_view>

#include "wire/frame.hpp"

// The example of docs/security.md, appendix A: one frame under every suite. The values were
// computed with libgcrypt and a separate SHA-256, not with the engines that are tested against
// them.
namespace chaincast::test {

struct ExampleVector {
  wire::Suite suite;
  std::string_view kmac;
  std::string_view kenc;    // confidential suites only
  std::string_view header;  // first 40 bytes
  std::string_view tag;
  std::string_view payload;  // as sent
  std::string_view digest;
};

// The configured secret is 00 01 .. 1f, the network id 20 .. 3f, the descriptor digest 40 .. 5f.
inline constexpr std::string_view example_authenticate =
    "d2757b0959bd7f35d86198df4b84205fa8b7bf3bc0a4f3650edab0493d5fbdfe";
inline constexpr std::string_view example_encrypt =
    "4ab8515dd844b2f14bc3d416cf51f5d0ad8476c10a8f01d2845d9ca6c1cdfb90";
inline constexpr std::string_view example_plaintext = "chaincast: one frame, many copies";

inline constexpr std::array<ExampleVector, 5> example_vectors = {{
    {.suite = wire::Suite::sha256_gmac,
     .kmac = "6d5f0cedcb5054f69fdbefe08f1d860f970bac50f8d206cbc076a924942833d0",
     .kenc = "",
     .header = "0021c0010000000140414243444546470000000000000005606162636465666768696a6b6c6d"
               "6e6f",
     .tag = "b719fb10c747dcb386a3fc5606d8a73e",
     .payload = "636861696e636173743a206f6e65206672616d652c206d616e7920636f70696573",
     .digest = "3ccbad10c38157e5acbadb987ce08a0a539b2c27db88500f53ca05092048855c"},
    {.suite = wire::Suite::sha256_gcm,
     .kmac = "d52227c1597f14e78ed39971430bcadb4150ef109763a4807830e9c425676490",
     .kenc = "e6094eb3fa104c4ae801bcecb2de08f6e850960e9cf881e3fa4cdc8a3d28129f",
     .header = "0021c0020000000140414243444546470000000000000005606162636465666768696a6b6c6d"
               "6e6f",
     .tag = "9fab75a59b9fe84437c71966acda7410",
     .payload = "9f311e132fd136e00a2174f3acdf3a4661571d1f0807895c218e8b4905e835785d",
     .digest = "0e3c64afd9e70a145f74544c5f0b23135abdd7b7926e2ff984d217d2a339b1c1"},
    {.suite = wire::Suite::sha256_gmac_ct,
     .kmac = "63972f76d8dea4604646b0f6e2b150c8045326277ddf788721a1797479c9f071",
     .kenc = "",
     .header = "0021c0030000000140414243444546470000000000000005606162636465666768696a6b6c6d"
               "6e6f",
     .tag = "f3f2769c5add07a07e4c2c60e6e7291f",
     .payload = "636861696e636173743a206f6e65206672616d652c206d616e7920636f70696573",
     .digest = "e18a83d6d193408385c47d597646d647b350185f18fd5b7860787820777a0826"},
    {.suite = wire::Suite::sha256_gcm_ct,
     .kmac = "cd3377bcce77b5eaa7e1737a389198cce9747091198663a99ec568c589c32a7c",
     .kenc = "52a3b328ead5804cba048ca69c1677d74be2abfe2b10704ba6f812d3ed5578cf",
     .header = "0021c0040000000140414243444546470000000000000005606162636465666768696a6b6c6d"
               "6e6f",
     .tag = "a7fd89f2a9e1bb868d47220dda8f1974",
     .payload = "8aca9cfb7b27b54b3c630545663ee5969122fdec12a8bb057ee13ae0f57ead7f32",
     .digest = "5a9c87beef6ea2c9a82186697c73fb7df3ee3109fe96462ebed491a671f6fcfe"},
    {.suite = wire::Suite::gmac,
     .kmac = "83741a9c25ced8371b99895a953eb0d6434124d1ea2c2ccd590d598ba29bd1f7",
     .kenc = "",
     .header = "0021c0050000000140414243444546470000000000000005606162636465666768696a6b6c6d"
               "6e6f",
     .tag = "6a0c9eebf4f54a9346e4efeb6985588e",
     .payload = "636861696e636173743a206f6e65206672616d652c206d616e7920636f70696573",
     .digest = "6a0c9eebf4f54a9346e4efeb6985588e00000000000000000000000000000000"},
}};

}  // namespace chaincast::test
