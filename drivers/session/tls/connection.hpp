// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include "session/choice.hpp"
#include "session/frame.hpp"
#include "session/session.hpp"
#include "session/tls/channel.hpp"
#include "session/tls/outbox.hpp"

namespace chaincast::session::tls {

// One connection, as TlsSessions keeps it: the parts and how far it is. Private to the driver.
struct Connection {
  // connecting: TCP; greeting: TLS stands, the other end's hello has not come.
  enum class State : uint8_t { connecting, handshaking, greeting, open, over };

  Connection(Context& context, Descriptor fd, bool is_dialled, const NodeId& whom, Judge judge,
             TimeNs now_ns)
      : expected(whom),
        state(is_dialled ? State::connecting : State::handshaking),
        channel(context, std::move(fd), is_dialled, std::move(judge)),
        begun_ns(now_ns),
        in_moved_ns(now_ns),
        out_moved_ns(now_ns),
        message_ns(now_ns) {
    candidate.is_dialled = is_dialled;
  }

  bool is_dialled() const { return candidate.is_dialled; }
  bool is_half_open() const { return state != State::open && state != State::over; }
  // Something is half done that the other end must go on with.
  bool owes_bytes() const { return reader.is_inside() || has_said_goodbye || candidate.is_loser; }

  const NodeId expected;  // zeros: whoever answers
  State state;
  Candidate candidate;
  Remote remote;
  Channel channel;
  FrameReader reader{hello_bytes_max};
  Bytes spill;  // came, and waits for the next turn: at most one record
  Outbox out;
  TimeNs begun_ns;
  TimeNs in_moved_ns, out_moved_ns;  // a byte, or there was none to move
  TimeNs message_ns;                 // the last whole one, either way
  bool is_in_choice = false;
  bool was_opened = false;  // the listener knows it
  bool has_said_goodbye = false;
  bool is_moved = false;      // what waited for this dial has gone with a session
  bool is_abandoned = false;  // and it is not wanted any more
  bool is_buried = false;
  std::string why;  // it ends
};

}  // namespace chaincast::session::tls
