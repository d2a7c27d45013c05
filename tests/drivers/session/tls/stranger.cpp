// SPDX-License-Identifier: BSD-3-Clause
#include "stranger.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "base/assert.hpp"

namespace chaincast::test {

namespace {

sockaddr_in loopback(const std::string& address, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  CC_ASSERT(inet_pton(AF_INET, address.c_str(), &out.sin_addr) == 1);
  return out;
}

void must(int result) {
  CC_ASSERT(result == 0);
}

// libssl writes with write(): its SIGPIPE is kept from the process here, and nowhere else, so that
// one of the driver would be noticed.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    must(pthread_sigmask(SIG_BLOCK, &pipe_, &before_));
  }
  ~WithoutSigpipe() {
    const timespec at_once{};
    while (sigtimedwait(&pipe_, nullptr, &at_once) == SIGPIPE) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_, before_;
};

int bound_socket(const std::string& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in from = loopback(address, 0);
  must(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from));
  return fd;
}

}  // namespace

OwnedKey make_key(KeyKind kind) {
  if (kind == KeyKind::ed25519) return OwnedKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (kind == KeyKind::p256) return OwnedKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (kind == KeyKind::rsa) {
    return OwnedKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}));
  }
  return nullptr;
}

OwnedCertificate make_certificate(EVP_PKEY* key) {
  OwnedCertificate out(X509_new());
  X509_set_version(out.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), 77);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), 3600);
  X509_set_pubkey(out.get(), key);
  const EVP_MD* digest = EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  CC_ASSERT(X509_sign(out.get(), key, digest) > 0);
  return out;
}

PublicKey public_key_of(EVP_PKEY* key) {
  PublicKey out{};
  size_t bytes = out.size();
  CC_ASSERT(EVP_PKEY_get_raw_public_key(key, out.data(), &bytes) == 1);
  return out;
}

Stranger::Stranger(const Endpoint& to, const StrangeOptions& options) {
  CC_ASSERT(!to.is_ipv6);
  fd_ = bound_socket(options.from.empty() ? "0.0.0.0" : options.from);
  char text[INET_ADDRSTRLEN];
  CC_ASSERT(inet_ntop(AF_INET, to.address.data(), text, sizeof text));
  const sockaddr_in target = loopback(text, to.port);
  must(::connect(fd_, reinterpret_cast<const sockaddr*>(&target), sizeof target));
  set_up(options, false);
  begin(false);
}

Stranger::Stranger(const StrangeOptions& options) : listening_(bound_socket("127.0.0.1")) {
  must(::listen(listening_, 1));
  must(::fcntl(listening_, F_SETFL, O_NONBLOCK));
  set_up(options, true);
}

Stranger::~Stranger() {
  if (fd_ >= 0) ::close(fd_);
  if (listening_ >= 0) ::close(listening_);
}

Endpoint Stranger::address() const {
  sockaddr_in own{};
  socklen_t bytes = sizeof own;
  must(::getsockname(listening_, reinterpret_cast<sockaddr*>(&own), &bytes));
  Endpoint out;
  std::memcpy(out.address.data(), &own.sin_addr, 4);
  out.port = ntohs(own.sin_port);
  return out;
}

void Stranger::set_up(const StrangeOptions& options, bool is_server) {
  key_ = make_key(options.key);
  context_.reset(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX* const context = context_.get();
  CC_ASSERT(SSL_CTX_set_min_proto_version(context, options.version) == 1);
  CC_ASSERT(SSL_CTX_set_max_proto_version(context, options.version) == 1);
  SSL_CTX_set_verify(context, is_server ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_cert_verify_callback(
      context, [](X509_STORE_CTX*, void*) { return 1; }, nullptr);
  if (key_) {
    certificate_ = make_certificate(key_.get());
    CC_ASSERT(SSL_CTX_use_certificate(context, certificate_.get()) == 1);
    CC_ASSERT(SSL_CTX_use_PrivateKey(context, key_.get()) == 1);
  }
  if (options.alpn.empty()) return;
  std::string alpn(1, static_cast<char>(options.alpn.size()));
  alpn += options.alpn;
  const auto* bytes = reinterpret_cast<const unsigned char*>(alpn.data());
  CC_ASSERT(SSL_CTX_set_alpn_protos(context, bytes, static_cast<unsigned>(alpn.size())) == 0);
  // As a server it takes whatever is offered first.
  SSL_CTX_set_alpn_select_cb(
      context,
      [](SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned,
         void*) {
        *size = in[0];
        *out = in + 1;
        return SSL_TLSEXT_ERR_OK;
      },
      nullptr);
}

void Stranger::begin(bool is_server) {
  must(::fcntl(fd_, F_SETFL, O_NONBLOCK));
  const int on = 1;
  must(::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  ssl_.reset(SSL_new(context_.get()));
  SSL_set_fd(ssl_.get(), fd_);
  if (is_server) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

void Stranger::fail() {
  is_over_ = true;
  const char* text = ERR_reason_error_string(ERR_peek_error());
  why_ = text ? text : "reset";
}

void Stranger::step() {
  if (!ssl_ && listening_ >= 0) {
    fd_ = ::accept(listening_, nullptr, nullptr);
    if (fd_ < 0) return;
    begin(true);
  }
  if (!ssl_ || is_over_) return;
  const WithoutSigpipe quiet;
  ERR_clear_error();
  if (!is_established_) {
    const int result = SSL_do_handshake(ssl_.get());
    const int code = SSL_get_error(ssl_.get(), result);
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) return;
    if (result != 1) return fail();
    is_established_ = true;
  }
  uint8_t buffer[16'384];
  size_t got = 0;
  while (reads_ && SSL_read_ex(ssl_.get(), buffer, sizeof buffer, &got) == 1) {
    received_.insert(received_.end(), buffer, buffer + got);
  }
  const int code = SSL_get_error(ssl_.get(), 0);
  if (reads_ && code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE) fail();
}

bool Stranger::write(ByteSpan bytes) {
  const WithoutSigpipe quiet;
  ERR_clear_error();
  size_t took = 0;
  return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &took) == 1;
}

void Stranger::write_raw(ByteSpan bytes) {
  CC_ASSERT(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
}

void Stranger::kill() {
  const linger at_once{1, 0};
  must(::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
  ::close(fd_);
  fd_ = -1;
  is_over_ = true;
}

Bytes framed_hello(const Digest& network, uint16_t port, const std::string& card) {
  Bytes out = {1};
  out.insert(out.end(), network.begin(), network.end());
  for (const size_t number : {size_t{port}, card.size()}) {
    out.push_back(static_cast<uint8_t>(number >> 8));
    out.push_back(static_cast<uint8_t>(number));
  }
  out.insert(out.end(), card.begin(), card.end());
  return framed(out);
}

Bytes framed(ByteSpan message) {
  Bytes out;
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<uint8_t>(message.size() >> shift));
  }
  out.insert(out.end(), message.begin(), message.end());
  return out;
}

}  // namespace chaincast::test
