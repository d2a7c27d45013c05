// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "port/ethdev/ethdev.hpp"

// The only device of the benchmarks: DPDK's net_null behind the port that the product has for it.
// A receive callback hands in packets made beforehand, a transmit callback counts, takes samples,
// and may hold what was sent. Everything else is as with a NIC: both sides of a comparison use the
// same one. One thread.
namespace chaincast::bench {

// What happens to a packet that was sent.
enum class Sink : uint8_t {
  null,  // freed at once, by the driver
  ring,  // held until 512 more were sent, as a NIC's ring does, then freed by the driver
};
inline constexpr unsigned ring_packets = 512;

struct DeviceConfig {
  std::string name;  // unique: net_null...
  rte_mempool* pool = nullptr;
  uint16_t mtu_bytes = 1500;
  Endpoint address;  // own, with its UDP port
  Sink sink = Sink::null;
  unsigned tx_queues = 1;  // each of one worker; what comes in comes to queue 0
};

class Device {
 public:
  explicit Device(const DeviceConfig& config);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  port::Port& port() { return *port_; }
  uint16_t id() const { return id_; }
  const port::Mac& mac() const { return mac_; }

  // What receiving gets from now on, in order; the device owns the packets. More may be offered
  // once nothing comes any more.
  void offer(std::vector<rte_mbuf*> packets);
  // Nothing more is handed in after this many cycles of the TSC, counted from the first receive.
  void stop_offering_after(uint64_t cycles) { offer_cycles_ = cycles; }
  uint64_t offer_cycles() const { return offer_cycles_; }
  // Nothing comes any more: all was taken, or the time is over.
  bool is_over() const { return is_over_; }
  // Packets handed in so far, over all offers.
  uint64_t received() const { return received_; }
  // Frees what was never handed in.
  void drop_rest();

  // Copies out `count` of the next `expected` packets that queue 0 sends, chosen at random.
  void sample(unsigned count, uint64_t expected, Random& random);
  const std::vector<Bytes>& samples() const { return samples_; }
  // Time that sampling took, to be subtracted.
  uint64_t sampling_cycles() const { return sampling_cycles_; }
  uint64_t sent() const;
  // Frees what the sink holds.
  void release();

 private:
  // What one worker sends.
  struct alignas(64) Queue {
    Device* device = nullptr;
    uint64_t sent = 0;
    std::vector<rte_mbuf*> ring;
    size_t ring_next = 0;
    const rte_eth_rxtx_callback* callback = nullptr;
  };
  static uint16_t on_receive(uint16_t, uint16_t, rte_mbuf** packets, uint16_t count, uint16_t max,
                             void* self);
  static uint16_t on_transmit(uint16_t, uint16_t, rte_mbuf** packets, uint16_t count, void* queue);
  void take_samples(uint64_t sent, rte_mbuf** packets, unsigned count);
  static void hold(Queue& queue, rte_mbuf** packets, unsigned count);

  std::unique_ptr<port::Port> port_;
  uint16_t id_ = 0;
  port::Mac mac_{};
  const Sink sink_;
  const rte_eth_rxtx_callback* receive_callback_ = nullptr;
  std::vector<rte_mbuf*> offered_;
  size_t next_ = 0;
  uint64_t received_ = 0;
  uint64_t offer_cycles_ = uint64_t{1} << 62;
  uint64_t offer_end_ = 0;
  bool is_over_ = false;
  std::vector<Queue> queues_;

  std::vector<uint64_t> wanted_;  // indices of packets sent, ascending
  size_t wanted_next_ = 0;
  std::vector<Bytes> samples_;
  uint64_t sampling_cycles_ = 0;
};

}  // namespace chaincast::bench
