// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

#include "session/tls/handles.hpp"

// How libssl reads and writes a socket: without blocking, without SIGPIPE, and no more at a time
// than a quota, whatever loops inside the library. Private to the driver.
namespace chaincast::session::tls {

BioMethod make_bio_method();
// Does not own `fd`. Freed with the SSL that it is given to.
BIO* make_bio(const BIO_METHOD* method, int fd);
// Bytes that may be read until it is set again.
void set_read_quota(BIO* bio, size_t bytes);

}  // namespace chaincast::session::tls
