// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

// One payload to N receivers, by the product and by what the field would take instead: the senders
// and the receivers of scripts/bench peers. Each function is one process's whole work; it returns
// what goes to standard output as one line.
namespace chaincast::bench::messaging {

using Json = nlohmann::json;

struct Job {
  unsigned fanout = 8;
  unsigned payload_bytes = 1400;
  uint16_t port = 7100;  // the first of the receivers, or the broker's
  unsigned ms = 400;     // how long to send
  unsigned cpu = 0;
  std::string device;  // chaincast, DPDK's device string; empty: kernel sockets
};

// ---- senders ----
// The worker line over the `udp` port to 127.0.0.1, or over `device`, to N peers: frames are
// verified and relayed, from memory, until time or frames are used up.
// {"sent": copies that the port took, "frames": n, "ns": time, "cpu_ns": of the processor,
// "refused": why what was not sent}
Json send_chaincast(const Job& job);
// N datagrams a message, by sendmmsg(2); or trains of one peer's datagrams by UDP_SEGMENT.
Json send_datagrams(const Job& job, bool has_segments);
Json send_zmq(const Job& job);   // a PUB socket that N subscribers connect to
Json send_nats(const Job& job);  // one publisher, to a nats-server

// ---- receivers: N of them, until nothing has come for a while after the first ----
// {"received": messages, "ns": from the first to the last}
Json receive_datagrams(const Job& job);
Json receive_zmq(const Job& job);
Json receive_nats(const Job& job);

}  // namespace chaincast::bench::messaging
