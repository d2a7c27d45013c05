// SPDX-License-Identifier: BSD-3-Clause
#include "session/tls/context.hpp"

#include <openssl/err.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "crypto/native_key.hpp"
#include "session/tls/bio.hpp"

namespace chaincast::session::tls {

namespace {

constexpr long certificate_bytes_max = 4096;
constexpr long ticket_life_s = 2 * 3600;
constexpr std::array<uint8_t, 12> alpn = {11,  'c', 'h', 'a', 'i', 'n',
                                          'c', 'a', 's', 't', '/', '1'};

const Judge& judge_of(const SSL* ssl) {
  return *static_cast<const Judge*>(SSL_get_app_data(ssl));
}

// Instead of everything that a certificate is checked for elsewhere: its key, and nothing else.
int verify(X509_STORE_CTX* store, void*) {
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto key = key_of(X509_STORE_CTX_get0_cert(store));
  const bool is_good = key && judge_of(ssl)(*key).empty();
  X509_STORE_CTX_set_error(store, is_good ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
  return is_good ? 1 : 0;
}

int choose_alpn(SSL*, const unsigned char** out, unsigned char* out_bytes,
                const unsigned char* offered, unsigned int offered_bytes, void*) {
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, out_bytes, alpn.data(), alpn.size(), offered, offered_bytes);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int keep_ticket(SSL* ssl, SSL_SESSION* session) {
  SslSession owned(session);
  auto& tickets = *static_cast<Tickets*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (const auto key = key_of(SSL_get0_peer_certificate(ssl))) {
    tickets.put(id_of(*key), std::move(owned));
  }
  return 1;  // it is ours, kept or freed
}

int make_ticket(SSL*, void*) {
  return 1;
}

// A ticket of whom the network does not admit any more is none: the full handshake that follows
// refuses its certificate, and says so.
SSL_TICKET_RETURN judge_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char*, size_t,
                               SSL_TICKET_STATUS status, void*) {
  if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) {
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  const auto key = key_of(SSL_SESSION_get0_peer(session));
  return key && judge_of(ssl)(*key).empty() ? SSL_TICKET_RETURN_USE_RENEW
                                            : SSL_TICKET_RETURN_IGNORE_RENEW;
}

// Carries the key. Names and dates are there because the format wants them.
Certificate make_certificate(EVP_PKEY* key) {
  Certificate out(X509_new());
  X509* const x509 = out.get();
  int ok = X509_set_version(x509, X509_VERSION_3);
  ok &= ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  ok &= ASN1_TIME_set_string_X509(X509_getm_notBefore(x509), "20000101000000Z");
  ok &= ASN1_TIME_set_string_X509(X509_getm_notAfter(x509), "99991231235959Z");
  const auto* name = reinterpret_cast<const unsigned char*>("chaincast");
  ok &=
      X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, name, -1, -1, 0);
  ok &= X509_set_issuer_name(x509, X509_get_subject_name(x509));
  ok &= X509_set_pubkey(x509, key);
  CC_ASSERT(ok == 1 && X509_sign(x509, key, nullptr) > 0);
  return out;
}

}  // namespace

NodeId id_of(const PublicKey& key) {
  Digest digest;
  SHA256(key.data(), key.size(), digest.data());
  NodeId id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

std::optional<PublicKey> key_of(const X509* certificate) {
  EVP_PKEY* const key = certificate ? X509_get0_pubkey(certificate) : nullptr;
  PublicKey out;
  size_t bytes = out.size();
  if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key, out.data(), &bytes) != 1 || bytes != out.size()) {
    return std::nullopt;
  }
  return out;
}

void Tickets::put(const NodeId& id, SslSession session) {
  take(id);
  if (kept_.size() == tickets_max) take(by_age_.begin()->second);
  const uint64_t number = ++count_;
  by_age_[number] = id;
  kept_[id] = {std::move(session), number};
}

SslSession Tickets::take(const NodeId& id) {
  const auto found = kept_.find(id);
  if (found == kept_.end()) return nullptr;
  SslSession out = std::move(found->second.session);
  by_age_.erase(found->second.number);
  kept_.erase(found);
  return out;
}

Result<std::unique_ptr<Context>> Context::make(const crypto::Signer& signer,
                                               const Digest& network) {
  const auto* native = dynamic_cast<const crypto::NativeKey*>(&signer);
  if (!native) {
    return error(ErrorCode::unsupported,
                 "sessions: the node's key is not held by OpenSSL, which TLS is made with");
  }
  std::unique_ptr<Context> out(new Context);
  out->bio_ = make_bio_method();
  out->certificate_ = make_certificate(native->native_key());
  out->client_.reset(SSL_CTX_new(TLS_client_method()));
  out->server_.reset(SSL_CTX_new(TLS_server_method()));
  for (SslContext* role : {&out->client_, &out->server_}) {
    if (Status set = out->set_up(*role, signer, network); !set) return set.error();
  }
  SSL_CTX* const client = out->client_.get();
  SSL_CTX_set_app_data(client, &out->tickets_);
  SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(client, keep_ticket);
  SSL_CTX* const server = out->server_.get();
  SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(server, 1);
  SSL_CTX_set_session_ticket_cb(server, make_ticket, judge_ticket, nullptr);
  SSL_CTX_set_alpn_select_cb(server, choose_alpn, nullptr);
  return out;
}

Status Context::set_up(SslContext& role, const crypto::Signer& signer, const Digest& network) {
  SSL_CTX* const context = role.get();
  CC_ASSERT(context);
  EVP_PKEY* const key = dynamic_cast<const crypto::NativeKey&>(signer).native_key();
  const bool is_set =
      SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
      SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
      SSL_CTX_use_certificate(context, certificate_.get()) == 1 &&
      SSL_CTX_use_PrivateKey(context, key) == 1 &&
      SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1 &&
      SSL_CTX_set_session_id_context(context, network.data(), sizeof network) == 1 &&
      SSL_CTX_set_max_early_data(context, 0) == 1 &&
      SSL_CTX_set_recv_max_early_data(context, 0) == 1 &&
      SSL_CTX_set_alpn_protos(context, alpn.data(), sizeof alpn) == 0;  // 0 is success, here alone
  if (!is_set) {
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return error(
        ErrorCode::unsupported,
        std::string("sessions: OpenSSL cannot be set up for TLS 1.3 with Ed25519: ") + text);
  }
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  // Without AUTO_RETRY a record that carries no message ends the call: nobody can keep us in it.
  SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(context, certificate_bytes_max);
  SSL_CTX_set_timeout(context, ticket_life_s);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify, nullptr);
  return {};
}

Ssl Context::connection(int fd, bool is_client, const Judge& judge) {
  Ssl out(SSL_new(is_client ? client_.get() : server_.get()));
  CC_ASSERT(out);
  BIO* const bio = make_bio(bio_.get(), fd);
  SSL_set_bio(out.get(), bio, bio);
  SSL_set_app_data(out.get(), const_cast<Judge*>(&judge));
  if (is_client) {
    SSL_set_connect_state(out.get());
  } else {
    SSL_set_accept_state(out.get());
  }
  return out;
}

void Context::offer_ticket(SSL* ssl, const NodeId& id) {
  const SslSession session = tickets_.take(id);
  if (session && SSL_SESSION_is_resumable(session.get())) SSL_set_session(ssl, session.get());
}

}  // namespace chaincast::session::tls
