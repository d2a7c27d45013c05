// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/bytes.hpp"
#include "session/tls/context.hpp"

namespace chaincast::session::tls {

// TLS over one socket. Nothing blocks; a call reads at most 64 KiB. Private to the driver; control
// thread; not movable, since libssl points back at it.
class Channel {
 public:
  enum class Io : uint8_t {
    done,
    again,   // when the socket is ready: for writing where wants_write(), else for reading
    ended,   // the other end said goodbye; it may still be written to
    failed,  // for good: why(), was_refused()
  };

  Channel(Context& context, Descriptor fd, bool is_client, Judge judge);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // The ticket of `id` shortens the handshake that is to come.
  void offer_ticket(const NodeId& id) { context_.offer_ticket(ssl_.get(), id); }
  // done: the other end's key is proven, and taken by the judge.
  Io handshake();
  Io read(std::span<uint8_t> out, size_t& got);
  Io write(ByteSpan bytes, size_t& took);
  // Nothing may be written after it.
  Io say_goodbye();
  // The same where nobody waits for it to get through.
  void hang_up();

  int fd() const { return fd_.get(); }
  Descriptor take_fd() { return std::move(fd_); }
  bool wants_write() const;
  bool is_resumed() const { return SSL_session_reused(ssl_.get()) == 1; }
  bool is_established() const { return is_established_; }
  bool has_failed() const { return has_failed_; }
  const PublicKey& peer_key() const { return peer_key_; }
  // RFC 8446, section 7.5. Established.
  Secret exported(const std::string& label, ByteSpan context) const;
  const std::string& why() const { return why_; }
  // By this end: for what the other one is, or speaks.
  bool was_refused() const { return was_refused_; }

 private:
  Io settle(int result);
  Io fail(const std::string& why, bool is_refusal);
  Io explain();
  Io check_peer();
  void begin();

  Context& context_;
  Descriptor fd_;
  const Judge judge_;
  Ssl ssl_;
  bool is_established_ = false, has_failed_ = false, was_refused_ = false;
  PublicKey peer_key_{};
  std::string why_;
};

}  // namespace chaincast::session::tls
