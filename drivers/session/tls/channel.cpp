// SPDX-License-Identifier: BSD-3-Clause
#include "session/tls/channel.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/assert.hpp"
#include "session/tls/bio.hpp"

namespace chaincast::session::tls {

namespace {

constexpr size_t read_quota_bytes = 64 * 1024;
constexpr std::string_view protocol = "chaincast/1";

}  // namespace

// The judge's word is kept for why(), because libssl asks it where no text can be returned.
Channel::Channel(Context& context, Descriptor fd, bool is_client, Judge judge)
    : context_(context),
      fd_(std::move(fd)),
      judge_([this, judge = std::move(judge)](const PublicKey& key) {
        std::string why = judge(key);
        if (!why.empty()) why_ = why;
        return why;
      }),
      ssl_(context.connection(fd_.get(), is_client, judge_)) {}

void Channel::begin() {
  ERR_clear_error();
  errno = 0;
  set_read_quota(SSL_get_rbio(ssl_.get()), read_quota_bytes);
}

Channel::Io Channel::settle(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE:
      return Io::done;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Io::again;
    case SSL_ERROR_ZERO_RETURN:
      return Io::ended;
    default:
      return explain();
  }
}

Channel::Io Channel::fail(const std::string& why, bool is_refusal) {
  has_failed_ = true;
  was_refused_ = is_refusal;
  why_ = why;
  return Io::failed;
}

Channel::Io Channel::explain() {
  const int code = errno;
  const unsigned long first = ERR_peek_error();
  const int reason = ERR_GET_REASON(first);
  const char* const text = ERR_reason_error_string(first);
  ERR_clear_error();
  if (!is_established_ && !why_.empty()) return fail(why_, true);
  if (first == 0 || ERR_GET_LIB(first) != ERR_LIB_SSL) {
    return fail(code != 0 ? std::strerror(code) : "the other end is gone", false);
  }
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return fail("the other end is gone without a goodbye", false);
  }
  const std::string words = text ? text : "unknown";
  if (reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE) {
    return fail("the other end refused it: it does not admit this node's key, or expects another",
                false);
  }
  if (reason >= SSL_AD_REASON_OFFSET) return fail("the other end refused it: " + words, false);
  return fail("not a handshake of this protocol: " + words, true);
}

Channel::Io Channel::handshake() {
  begin();
  const Io io = settle(SSL_do_handshake(ssl_.get()));
  if (io == Io::ended) return fail("the other end refused it", false);
  return io == Io::done ? check_peer() : io;
}

// After every handshake: in a resumed one no certificate came, and nothing was asked.
Channel::Io Channel::check_peer() {
  const auto key = key_of(SSL_get0_peer_certificate(ssl_.get()));
  if (!key) return fail("it shows no Ed25519 key", true);
  if (const std::string why = judge_(*key); !why.empty()) return fail(why, true);
  const unsigned char* name = nullptr;
  unsigned int bytes = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &bytes);
  if (std::string_view(reinterpret_cast<const char*>(name), bytes) != protocol) {
    return fail("it does not speak chaincast/1", true);
  }
  peer_key_ = *key;
  is_established_ = true;
  return Io::done;
}

Channel::Io Channel::read(std::span<uint8_t> out, size_t& got) {
  begin();
  return settle(SSL_read_ex(ssl_.get(), out.data(), out.size(), &got));
}

Channel::Io Channel::write(ByteSpan bytes, size_t& took) {
  begin();
  return settle(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &took));
}

Channel::Io Channel::say_goodbye() {
  begin();
  const int result = SSL_shutdown(ssl_.get());
  if (result < 0) return settle(result);
  ::shutdown(fd_.get(), SHUT_WR);
  return Io::done;
}

void Channel::hang_up() {
  if (is_established_ && !has_failed_) say_goodbye();
  ::shutdown(fd_.get(), SHUT_WR);
}

bool Channel::wants_write() const {
  return SSL_want_write(ssl_.get());
}

Secret Channel::exported(const std::string& label, ByteSpan context) const {
  Secret out;
  CC_ASSERT(SSL_export_keying_material(ssl_.get(), out.data(), out.size(), label.data(),
                                       label.size(), context.data(), context.size(), 1) == 1);
  return out;
}

}  // namespace chaincast::session::tls
