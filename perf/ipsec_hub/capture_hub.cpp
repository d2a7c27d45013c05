// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>

#include <cstdio>
#include <string>

#include "base/assert.hpp"
#include "fanout/copy.hpp"
#include "ipsec_hub/hub.hpp"
#include "rig/machine.hpp"

// Writes what the hub sends into a capture, so that another implementation can judge it:
//
//   capture_hub FILE.pcap gcm256|gcm128|gmac256|group BYTES
//
// Two peers, eight packets. Prints one association per line: spi, key and salt as one hex number.
namespace chaincast::bench::ipsec {
namespace {

constexpr unsigned peers = 2;
constexpr unsigned packets = 8;

void put32(std::FILE* file, uint32_t value) {
  CC_ASSERT(std::fwrite(&value, sizeof value, 1, file) == 1);
}

void write_capture(const char* path, const std::vector<Bytes>& all) {
  std::FILE* const file = std::fopen(path, "wb");
  CC_ASSERT(file != nullptr);
  for (const uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65'535u, 1u}) put32(file, word);
  for (const Bytes& packet : all) {
    const auto bytes = static_cast<uint32_t>(packet.size());
    for (const uint32_t word : {0u, 0u, bytes, bytes}) put32(file, word);
    CC_ASSERT(std::fwrite(packet.data(), 1, bytes, file) == bytes);
  }
  CC_ASSERT(std::fclose(file) == 0);
}

int run(const char* path, const std::string& kind, uint16_t inner_bytes) {
  HubConfig config;
  config.is_group = kind == "group";
  if (kind == "gcm128") config.transform = Transform::gcm128;
  if (kind == "gmac256") config.transform = Transform::gmac256;
  start_eal({.cpu = 0, .memory_mb = 128, .has_hugepages = false});
  Pools pools;
  pools.received = make_pool("received", 2047, 0, RTE_MBUF_DEFAULT_BUF_SIZE);
  pools.headers = make_pool("headers", 2047, 0, fanout::header_data_room_bytes);
  pools.tunnels = make_pool("tunnels", 2047, 0, RTE_MBUF_DEFAULT_BUF_SIZE);
  Cell cell;
  cell.unit_bytes = inner_bytes;
  cell.fanout = peers;
  Hub hub(cell, config, pools);
  hub.prepare(packets);
  // Far more wishes than packets: every one is granted once.
  Random random(1);
  hub.device().sample(1000, packets * peers, random);
  hub.run();
  CC_ASSERT(hub.device().samples().size() == packets * peers);
  write_capture(path, hub.device().samples());
  for (uint32_t peer = 0; peer < peers; ++peer) {
    const Association one = make_association(config.is_group ? hub_upstream : peer);
    const size_t key_bytes = config.transform == Transform::gcm128 ? 16 : 32;
    fmt::print("{:#x} {}{}\n", one.spi, to_hex({one.key.data(), key_bytes}), to_hex(one.salt));
  }
  return 0;
}

}  // namespace
}  // namespace chaincast::bench::ipsec

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: capture_hub FILE.pcap gcm256|gcm128|gmac256|group BYTES\n");
    return 2;
  }
  return chaincast::bench::ipsec::run(argv[1], argv[2], static_cast<uint16_t>(std::stoi(argv[3])));
}
