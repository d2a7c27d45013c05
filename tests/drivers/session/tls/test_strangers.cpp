// SPDX-License-Identifier: BSD-3-Clause
// Against an independent end: who is taken, and who is not.
#include <fcntl.h>
#include <openssl/pem.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "port/port.hpp"
#include "rig.hpp"

namespace chaincast::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Strangers : public TlsTest {
 protected:
  void is_refused(const StrangeOptions& options) {
    SessionEnd& a = rig.add(1);
    Stranger stranger(a.address(), options);
    EXPECT_TRUE(until(stranger, [&] { return stranger.is_over(); }));
    rig.settle();
    EXPECT_EQ(a.counters().refused, 1u) << stranger.why();
    EXPECT_EQ(a.counters().opened, 0u);
    EXPECT_THAT(a.heard.events, IsEmpty());
  }
  // Our dial of it comes to nothing, because of what it is.
  std::string is_not_taken(const StrangeOptions& options) {
    SessionEnd& a = rig.add(1);
    Stranger stranger(options);
    EXPECT_TRUE(a.sessions->send({}, stranger.address(), text("hello"), rig.now_ns));
    EXPECT_TRUE(until(stranger, [&] { return a.heard.count("failed") == 1; }));
    EXPECT_EQ(a.counters().opened, 0u);
    EXPECT_THAT(stranger.received(), IsEmpty());
    return a.heard.whys.empty() ? "" : a.heard.whys[0];
  }
};

TEST_F(Strangers, WhoKeepsToTheDocumentIsTaken) {
  session::Config config = rig.config();
  config.card = text("card of a");
  SessionEnd& a = rig.add(1, config);
  Stranger stranger(a.address());
  ASSERT_TRUE(until(stranger, [&] { return stranger.is_established(); })) << stranger.why();
  rig.settle();
  stranger.step();
  EXPECT_THAT(stranger.received(), IsEmpty()) << "nothing for whom has not introduced itself";
  ASSERT_TRUE(stranger.write(framed_hello(config.network, 7011, "its card")));
  ASSERT_TRUE(stranger.write(framed(text("one"))));
  ASSERT_TRUE(until(stranger, [&] { return !a.heard.messages.empty(); }));
  ASSERT_TRUE(until(stranger, [&] { return !stranger.received().empty(); }));
  EXPECT_EQ(stranger.received(), framed_hello(config.network, a.address().port, "card of a"));
  ASSERT_EQ(a.heard.remotes.size(), 1u);
  const session::Remote& remote = a.heard.remotes[0];
  EXPECT_EQ(remote.key, stranger.public_key());
  EXPECT_EQ(remote.card, text("its card"));
  EXPECT_EQ(port::to_text(remote.address), "127.0.0.1:7011");
  EXPECT_STREQ(SSL_get_version(stranger.ssl()), "TLSv1.3");

  // RFC 8446, 7.5, as libssl computes it at the other end.
  const std::string label = "EXPORTER-chaincast-link";
  Secret exported;
  ASSERT_EQ(
      SSL_export_keying_material(stranger.ssl(), exported.data(), exported.size(), label.data(),
                                 label.size(), config.network.data(), config.network.size(), 1),
      1);
  EXPECT_EQ(a.sessions->exported(remote.id, "link"), exported);

  stranger.received().clear();
  ASSERT_TRUE(a.sessions->send(remote.id, remote.address, text("back"), rig.now_ns));
  ASSERT_TRUE(until(stranger, [&] { return stranger.received().size() == 8; }));
  EXPECT_EQ(stranger.received(), framed(text("back")));
}

TEST_F(Strangers, ADialIsAsTheDocumentSays) {
  SessionEnd& a = rig.add(1);
  Stranger stranger{StrangeOptions{}};
  ASSERT_TRUE(a.sessions->send({}, stranger.address(), text("first"), rig.now_ns));
  // The first message follows the hello at once: no round trip for the other's hello.
  Bytes expected = framed_hello(rig.config().network, a.address().port, "card");
  const Bytes first = framed(text("first"));
  expected.insert(expected.end(), first.begin(), first.end());
  ASSERT_TRUE(until(stranger, [&] { return stranger.received().size() >= expected.size(); }));
  EXPECT_EQ(stranger.received(), expected);
  EXPECT_THAT(a.heard.events, IsEmpty());
  ASSERT_TRUE(stranger.write(framed_hello(rig.config().network, 7000, "")));
  ASSERT_TRUE(until(stranger, [&] { return a.heard.count("open") == 1; }));
  EXPECT_EQ(a.heard.remotes[0].address, stranger.address()) << "what was dialled";
}

// close_notify, as libssl hears it: after close(), when the end goes, and in answer to one.
TEST_F(Strangers, AGoodbyeIsSaidAndAnswered) {
  for (const int how : {0, 1, 2}) {
    SCOPED_TRACE(how);
    SessionEnd& a = rig.add(1);
    Stranger stranger(a.address());
    introduce(stranger);
    if (how == 0) a.sessions->close(a.heard.now_open[0], "enough", rig.now_ns);
    if (how == 1) a.sessions.reset();
    if (how == 2) SSL_shutdown(stranger.ssl());
    EXPECT_TRUE(until(stranger, [&] { return stranger.is_over(); }));
    EXPECT_NE(SSL_get_shutdown(stranger.ssl()) & SSL_RECEIVED_SHUTDOWN, 0) << stranger.why();
    rig.settle();
    EXPECT_EQ(a.heard.count("closed"), how == 1 ? 0u : 1u);
    rig.ends.clear();
  }
}

TEST_F(Strangers, OlderTlsIsRefused) {
  is_refused({.version = TLS1_2_VERSION});
}
TEST_F(Strangers, WithoutACertificateIsRefused) {
  is_refused({.key = KeyKind::none});
}
TEST_F(Strangers, ACertificateWithAnRsaKeyIsRefused) {
  is_refused({.key = KeyKind::rsa});
}
TEST_F(Strangers, ACertificateWithAP256KeyIsRefused) {
  is_refused({.key = KeyKind::p256});
}
TEST_F(Strangers, WithoutAlpnIsRefused) {
  is_refused({.alpn = ""});
}
TEST_F(Strangers, AnotherProtocolIsRefused) {
  is_refused({.alpn = "h2"});
}
TEST_F(Strangers, AServerOfOlderTlsIsNotTaken) {
  is_not_taken({.version = TLS1_2_VERSION});
}
TEST_F(Strangers, AServerWithAnRsaKeyIsNotTaken) {
  is_not_taken({.key = KeyKind::rsa});
}
TEST_F(Strangers, AServerWithoutAlpnIsNotTaken) {
  EXPECT_THAT(is_not_taken({.alpn = ""}), HasSubstr("chaincast/1"));
}

TEST_F(Strangers, AnAddressInUseIsNamedWithTheRemedy) {
  SessionEnd& a = rig.add(1);
  session::Config config = rig.config();
  config.listen = a.address();
  const auto taken = session::tls::make_tls(config, *a.signer);
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code, ErrorCode::io);
  EXPECT_THAT(taken.error().message, HasSubstr(port::to_text(a.address())));
  EXPECT_THAT(taken.error().message, HasSubstr("in use"));
  EXPECT_THAT(taken.error().message, HasSubstr("free port"));
  a.sessions.reset();
  EXPECT_TRUE(session::tls::make_tls(config, *a.signer).ok()) << "at once again";
}

TEST_F(Strangers, WhatCannotBeSetUpIsAnError) {
  session::Config config = rig.config();
  config.card.resize(session::card_bytes_max + 1);
  const auto signer = rig.signer(1);
  EXPECT_EQ(session::tls::make_tls(config, *signer).error().code, ErrorCode::invalid);
  session::Config of_all = rig.config();
  of_all.admits = nullptr;
  EXPECT_EQ(session::tls::make_tls(of_all, *signer).error().code, ErrorCode::invalid);
  class StandIn final : public crypto::Signer {
    const PublicKey& public_key() const override { return key_; }
    Signature sign(ByteSpan) const override { return {}; }
    PublicKey key_{};
  };
  EXPECT_EQ(session::tls::make_tls(rig.config(), StandIn()).error().code, ErrorCode::unsupported);
}

TEST_F(Strangers, Ipv6AndBothFamiliesAtOnce) {
  session::Config config = rig.config();
  config.listen = *port::parse_endpoint("[::1]:0");
  if (!session::tls::make_tls(config, *rig.signer(1)).ok()) GTEST_SKIP() << "no IPv6 here";
  SessionEnd& six = rig.add(1, config);
  config.listen = *port::parse_endpoint("[::]:0");
  SessionEnd& both = rig.add(2, config);
  SessionEnd& four = rig.add(3);
  const auto at = [&](const char* address) {
    Endpoint out = *port::parse_endpoint(std::string(address) + ":1");
    out.port = both.address().port;
    return out;
  };
  ASSERT_TRUE(six.sessions->send(both.id, at("[::1]"), text("six"), rig.now_ns));
  ASSERT_TRUE(four.sessions->send(both.id, at("127.0.0.1"), text("four"), rig.now_ns));
  ASSERT_TRUE(rig.until([&] { return both.heard.messages.size() == 2; }));
  for (const session::Remote& remote : both.heard.remotes) {
    EXPECT_EQ(remote.address, remote.id == six.id ? six.address() : four.address());
  }
}

// ---- the openssl program ------------------------------------------------------------------------

// `openssl s_client` with pipes at both of its ends.
class Client {
 public:
  Client(const std::string& program, const std::vector<std::string>& arguments) {
    int to[2], from[2];
    CC_ASSERT(::pipe2(to, O_CLOEXEC) == 0 && ::pipe2(from, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    std::vector<char*> words = {const_cast<char*>(program.c_str())};
    for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    CC_ASSERT(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, words.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(to[0]);
    ::close(from[1]);
    in_ = to[1];
    out_ = from[0];
    CC_ASSERT(::fcntl(out_, F_SETFL, O_NONBLOCK) == 0);
  }
  ~Client() {
    ::close(in_);
    ::close(out_);
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }
  void write(ByteSpan bytes) {
    CC_ASSERT(::write(in_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  const Bytes& read() {
    uint8_t buffer[4096];
    for (ssize_t got; (got = ::read(out_, buffer, sizeof buffer)) > 0;) {
      received_.insert(received_.end(), buffer, buffer + got);
    }
    return received_;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  Bytes received_;
};

TEST_F(Strangers, TheOpensslProgramIsTaken) {
  const std::string program = "/usr/bin/openssl";
  if (::access(program.c_str(), X_OK) != 0) {
    GTEST_SKIP() << program << " is missing: apt-get install openssl";
  }
  std::string directory = testing::TempDir() + "chaincast-tls-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const OwnedKey key = make_key(KeyKind::ed25519);
  const std::string file = directory + "/node.pem";
  FILE* const out = std::fopen(file.c_str(), "w");
  ASSERT_EQ(PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
  ASSERT_EQ(PEM_write_X509(out, make_certificate(key.get()).get()), 1);
  std::fclose(out);

  SessionEnd& a = rig.add(1);
  Client client(program, {"s_client", "-connect", port::to_text(a.address()), "-tls1_3", "-quiet",
                          "-verify_quiet", "-noservername", "-alpn", "chaincast/1", "-cert", file,
                          "-key", file});
  Bytes said = framed_hello(rig.config().network, 7000, "program");
  const Bytes message = framed(text("from a program"));
  said.insert(said.end(), message.begin(), message.end());
  client.write(said);
  ASSERT_TRUE(rig.until([&] { return !a.heard.messages.empty(); }));
  EXPECT_THAT(a.heard.messages, ElementsAre(text("from a program")));
  EXPECT_EQ(a.heard.remotes[0].key, public_key_of(key.get()));
  const Bytes hello = framed_hello(rig.config().network, a.address().port, "card");
  ASSERT_TRUE(rig.until([&] { return client.read().size() >= hello.size(); }));
  EXPECT_EQ(client.read(), hello);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace chaincast::test
