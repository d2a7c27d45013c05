// SPDX-License-Identifier: BSD-3-Clause
#include "port/kinds.hpp"

#include <fmt/format.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "port/headers.hpp"

namespace chaincast::port {

namespace {

constexpr unsigned l2_max_bytes = ethernet_bytes + vlan_tag_bytes;
constexpr unsigned page_bytes = 4096;
// struct tpacket2_hdr, sockaddr_ll, alignment and room for a tag that the kernel puts back.
constexpr unsigned packet_frame_overhead = 128;
constexpr unsigned packet_frame_default = 2048;
constexpr unsigned memif_buffer_default = 2048;
constexpr uint16_t xdp_headroom_bytes = 256;  // XDP_PACKET_HEADROOM of the kernel
constexpr uint16_t pcap_frame_max = 9728;     // RTE_ETHER_MAX_JUMBO_FRAME_LEN: its snapshot length

unsigned number_of(const std::string& device, const std::string& key, unsigned otherwise) {
  const std::string text = device_argument(device, key);
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc{} && end == text.data() + text.size() ? value : otherwise;
}

// Its frames lie in blocks of whole pages, one frame per block where they are larger than a page.
std::string packet_arguments(const std::string& device, uint16_t mtu_bytes) {
  const unsigned wanted = mtu_bytes + l2_max_bytes + packet_frame_overhead;
  if (wanted <= packet_frame_default || !device_argument(device, "framesz").empty()) return "";
  const unsigned frame = (wanted + page_bytes - 1) / page_bytes * page_bytes;
  return fmt::format(",framesz={},blocksz={}", frame, frame);
}

// A buffer for its largest frame.
unsigned packet_buffer(const std::string& device) {
  return number_of(device, "framesz", packet_frame_default);
}

// 22.11 leaves a chain's mark on the ring's entry, and the next packet there is taken for a part of
// the chain: a buffer has to hold a whole packet.
std::string memif_arguments(const std::string& device, uint16_t mtu_bytes) {
  const unsigned wanted = mtu_bytes + l2_max_bytes;
  if (wanted <= memif_buffer_default || !device_argument(device, "bsize").empty()) return "";
  return fmt::format(",bsize={}", (wanted + 63) / 64 * 64);
}

// All of them have the same made-up address otherwise.
std::string pcap_arguments(const std::string& device, uint16_t) {
  const bool is_live = !device_argument(device, "iface").empty();
  return is_live && device_argument(device, "phy_mac").empty() ? ",phy_mac=1" : "";
}

std::string bonding_arguments(const std::string& device, uint16_t) {
  return device_argument(device, "mode").empty() ? ",mode=1" : "";
}

constexpr std::array table = {
    Kind{.driver = "net_af_packet",
         .text = "kernel interface, by packet socket",
         .is_on_interface = true,
         .spreads_always = true,
         .understates_mtu = true,
         .arguments = packet_arguments,
         .least_buffer_bytes = packet_buffer},
    Kind{.driver = "net_af_xdp",
         .text = "kernel interface, by XDP socket",
         .is_on_interface = true,
         .own_mbufs_per_queue = 8192,
         .buffer_overhead_bytes = xdp_headroom_bytes,
         .takes_segments = false},  // advertises them and sends garbage after the first one
    Kind{.driver = "net_pcap",
         .text = "kernel interface or files, by libpcap",
         .is_on_interface = true,
         .takes_segments = true,
         .mtu_max_bytes = pcap_frame_max - l2_max_bytes,
         .arguments = pcap_arguments},
    Kind{.driver = "net_memif",
         .text = "shared memory with another process",
         .understates_mtu = true,
         .arguments = memif_arguments},
    Kind{
        .driver = "net_virtio_user", .text = "shared memory, guest's end", .needs_hugepages = true},
    Kind{.driver = "net_vhost", .text = "shared memory, host's end"},
    Kind{.driver = "net_bonding",
         .text = "several devices as one",
         .has_members = true,
         .arguments = bonding_arguments},
    Kind{.driver = "net_ring", .text = "rings within the process"},
    Kind{.driver = "net_null", .text = "swallows what is sent", .takes_segments = true},
};

constexpr Kind unlisted{};

}  // namespace

std::span<const Kind> kinds() {
  return table;
}

const Kind& kind_of(std::string_view device) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Kind& kind) {
    return device.starts_with(kind.driver);
  });
  return found == table.end() ? unlisted : *found;
}

std::string device_name(const std::string& device) {
  return device.substr(0, device.find(','));
}

std::string device_argument(const std::string& device, const std::string& key) {
  const size_t at = device.find("," + key + "=");
  if (at == std::string::npos) return "";
  const size_t first = at + key.size() + 2;
  return device.substr(first, device.find(',', first) - first);
}

std::string complete_device(const std::string& device, uint16_t mtu_bytes) {
  const Kind& kind = kind_of(device);
  return kind.arguments == nullptr ? device : device + kind.arguments(device, mtu_bytes);
}

std::string interface_below(const std::string& device) {
  return kind_of(device).is_on_interface ? device_argument(device, "iface") : "";
}

uint16_t buffer_bytes(const std::string& device, uint16_t mtu_bytes) {
  const std::string complete = complete_device(device, mtu_bytes);
  const Kind& kind = kind_of(complete);
  unsigned bytes = mtu_bytes + l2_max_bytes + kind.buffer_overhead_bytes;
  if (kind.least_buffer_bytes != nullptr) {
    bytes = std::max(bytes, kind.least_buffer_bytes(complete));
  }
  return static_cast<uint16_t>(std::min<unsigned>(bytes + RTE_PKTMBUF_HEADROOM, UINT16_MAX));
}

uint16_t mtu_within(const std::string& device, uint16_t buffer_bytes) {
  const Kind& kind = kind_of(device);
  const unsigned overhead = RTE_PKTMBUF_HEADROOM + l2_max_bytes + kind.buffer_overhead_bytes;
  const auto fitting = static_cast<uint16_t>(buffer_bytes > overhead ? buffer_bytes - overhead : 0);
  return kind.mtu_max_bytes == 0 ? fitting : std::min(fitting, kind.mtu_max_bytes);
}

}  // namespace chaincast::port
