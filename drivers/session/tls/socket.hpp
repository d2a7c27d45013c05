// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "session/tls/handles.hpp"

// TCP sockets that never block and raise no signal. Private to the driver.
namespace chaincast::session::tls {

struct Listening {
  Descriptor fd;
  Endpoint address;  // with the port that was bound
};

// `io`: names the address and what to do. `::` takes IPv4 as well.
Result<Listening> listen_at(const Endpoint& address);

// A connection that is being made, or -1 and an errno.
struct Dialled {
  Descriptor fd;
  int code = 0;
};
// `from`: its address is the connection's own, where the families agree and it is not 0.0.0.0 or
// `::`; so the other end sees who this is although the host has several addresses.
Dialled dial(const Endpoint& address, const Endpoint& from);
// 0 once it is made, EINPROGRESS until then, or why not.
int dial_result(int fd);

// One connection that waits, or -1 and an errno.
struct AcceptedSocket {
  Descriptor fd;
  Endpoint from;
  int code = 0;
};
AcceptedSocket accept_one(int listening);

// Bytes that nobody wants any more; at most `max`. False once there will be none.
bool discard(int fd, size_t max);

}  // namespace chaincast::session::tls
