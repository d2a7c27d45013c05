// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

#include "base/descriptor.hpp"

// Owning pointers of libssl objects. Private to the driver.
namespace chaincast::session::tls {

struct Free {
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(SSL_SESSION* p) const { SSL_SESSION_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(BIO_METHOD* p) const { BIO_meth_free(p); }
};

using SslContext = std::unique_ptr<SSL_CTX, Free>;
using Ssl = std::unique_ptr<SSL, Free>;
using SslSession = std::unique_ptr<SSL_SESSION, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using BioMethod = std::unique_ptr<BIO_METHOD, Free>;

}  // namespace chaincast::session::tls
