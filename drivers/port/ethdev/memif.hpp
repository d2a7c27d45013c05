// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

// What net_memif of DPDK 22.11 leaves to those who use it. Control thread.
//
// And one thing that it does wrong: when the other end goes, DPDK's interrupt thread unmaps the
// shared memory while workers may be within a burst that reads it. memif.cpp therefore has this
// program's munmap(): called by that thread, it first waits until every worker has ended its turn
// (rcu::synchronize). By then the driver has marked the device as disconnected, and bursts that
// begin later do not touch that memory. All other threads unmap at once.
namespace chaincast::port::ethdev {

// A device string with this end as a client, which connects once, when it is started.
bool is_memif_client(const std::string& device);

// Whether somebody listens on the socket that the device string names: reads the kernel's list of
// Unix sockets, so that nobody is disturbed by a connection that is not meant.
bool has_memif_server(const std::string& device);

// Whether this process has a connection to that socket. The driver closes it as the last thing of a
// disconnection: without one it is safe to stop the device and start it again, and with one the
// driver may be in the middle of connecting, where it does not survive that.
bool has_memif_connection(const std::string& device);

// After a server's device was removed: its listening socket stays open and registered with DPDK's
// interrupt thread, with a handler that reads freed memory. Puts a descriptor that is never ready
// in its place, unless another device, of `others` (device strings), listens there too. One
// descriptor stays open per device that was removed.
void end_memif_listener(const std::string& device, const std::string& others);

}  // namespace chaincast::port::ethdev
