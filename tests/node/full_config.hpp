// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace chaincast::node {

// Every key away from its default.
inline const std::string full_config = R"(
[node]
name = "full"
key = "k"
network = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
socket = "/run/x \"y\" \\.sock"
workers = 2
worker_cpus = [3, 1]
idle = "poll"
crypto = "openssl"
log_level = "debug"
eal = ["--vdev", "net_null0"]
pool_mbufs = 8191
memory_mb = 256
drain_timeout_s = 9
[[port]]
name = "e"
driver = "ethdev"
device = "net_af_packet0,iface=veth0"
ip = ["10.0.0.1/24", "fd00::1/64"]
gateway = ["10.0.0.254", "fd00::ff"]
udp_port = 7777
mtu = 9000
queues = 3
copy = "linear"
checksum = "software"
promisc = true
[port.link]
delay_ms = 5
jitter_ms = 1
loss = 0.05
duplicate = 0.01
reorder = 1e-7
rate = "10Mbit"
seed = 42
[[port]]
name = "lan"
driver = "ethdev"
device = "0000:03:00.0"
role = "edge"
[[port]]
name = "six"
driver = "udp"
address = "[::1]:7000"
link = { loss = 1 }
[[peer]]
name = "b"
address = "[fd00::2]:7000"
port = "e"
secret = "s"
node = "00112233445566778899aabbccddeeff"
rate = "2500kbit"
receive_rate = "7Mbit"
check = false
queue = 99
[[stream]]
name = "routes"
secret = "r"
publish = true
suite = "sha256-gcm-ct"
payload = "lan"
object_bytes_max = 2000000
rate = 77
window = 2048
delivery = "final"
keeping = "kept"
routes = true
statement_frames = 3
statement_interval_ms = 4
pack_wait_us = 5
gap_deadline_ms = 60
origins = ["00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"]
guests = ["00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"]
[[stream]]
name = "other"
secret = "o"
payload = 512
votes = 60
tolerated = 2
malicious = 10
[repair]
enabled = false
first_wait_ms = 1
retry_min_ms = 2
retry_max_ms = 3
tip_interval_ms = 40
tip_idle_ms = 50
nacks_per_tick_max = 6
outstanding_max = 7
[metrics]
address = "127.0.0.1:9100"
[rest]
address = "127.0.0.1:8080"
token = "/etc/chaincast/rest.token"
[membership]
address = "192.0.2.1:7000"
genesis = "/etc/chaincast/net.genesis"
trackers = ["192.0.2.9:7000", "[2001:db8::9]:7000"]
supernode = false
state = "/var/lib/chaincast/members.json"
degree = 6
relay = "192.0.2.1:7100"
relay_pairs = 64
relay_rate = "20Mbit"
)";

}  // namespace chaincast::node
