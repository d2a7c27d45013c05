// SPDX-License-Identifier: BSD-3-Clause
#include "session/tls/bio.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.hpp"

namespace chaincast::session::tls {

namespace {

constexpr int bio_type = BIO_TYPE_SOURCE_SINK | 0x7f;

struct Socket {
  int fd = -1;
  size_t quota = 0;
  bool is_at_end = false;
};

Socket& socket_of(BIO* bio) {
  return *static_cast<Socket*>(BIO_get_data(bio));
}

bool is_passing(int code) {
  return code == EAGAIN || code == EINTR;
}

int read_some(BIO* bio, char* out, int size) {
  Socket& socket = socket_of(bio);
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  const size_t want = std::min(static_cast<size_t>(size), socket.quota);
  if (want == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const ssize_t got = ::recv(socket.fd, out, want, MSG_DONTWAIT);
  if (got < 0 && is_passing(errno)) BIO_set_retry_read(bio);
  if (got == 0) socket.is_at_end = true;
  if (got > 0) socket.quota -= static_cast<size_t>(got);
  return static_cast<int>(got);
}

int write_some(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(socket_of(bio).fd, bytes, static_cast<size_t>(std::max(size, 0)),
                              MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && is_passing(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

long control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return socket_of(bio).is_at_end ? 1 : 0;
  return 0;
}

int create(BIO* bio) {
  BIO_set_data(bio, new Socket);
  BIO_set_init(bio, 1);
  return 1;
}

int destroy(BIO* bio) {
  delete &socket_of(bio);
  return 1;
}

}  // namespace

BioMethod make_bio_method() {
  BioMethod out(BIO_meth_new(bio_type, "chaincast socket"));
  CC_ASSERT(out);
  BIO_meth_set_read(out.get(), read_some);
  BIO_meth_set_write(out.get(), write_some);
  BIO_meth_set_ctrl(out.get(), control);
  BIO_meth_set_create(out.get(), create);
  BIO_meth_set_destroy(out.get(), destroy);
  return out;
}

BIO* make_bio(const BIO_METHOD* method, int fd) {
  BIO* bio = BIO_new(method);
  CC_ASSERT(bio);
  socket_of(bio).fd = fd;
  return bio;
}

void set_read_quota(BIO* bio, size_t bytes) {
  socket_of(bio).quota = bytes;
}

}  // namespace chaincast::session::tls
