// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "console/http/server.hpp"

namespace chaincast::console {
namespace {

// A client's socket, connected over loopback, non-blocking.
class Client {
 public:
  explicit Client(const Endpoint& to) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to.port);
    std::memcpy(&address.sin_addr, to.address.data(), sizeof address.sin_addr);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(const std::string& text) {
    ASSERT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // What has come since, and whether the server has closed.
  const std::string& receive() {
    std::array<char, 65536> buffer;
    ssize_t got = 0;
    while ((got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      received_.append(buffer.data(), static_cast<size_t>(got));
    }
    is_closed_ = got == 0 || (errno != EAGAIN && errno != EINTR);
    return received_;
  }
  bool is_closed() const { return is_closed_; }

 private:
  const int fd_;
  std::string received_;
  bool is_closed_ = false;
};

class Http : public testing::Test {
 protected:
  void SetUp() override { listen({}); }

  void listen(HttpOptions options) {
    server_.reset();
    options.address = Endpoint{{127, 0, 0, 1}, 0, false};
    auto made = HttpServer::listen(options, {{"/metrics", "text/x", [this] {
                                                ++pages_;
                                                return body_;
                                              }}});
    ASSERT_TRUE(made.ok()) << made.error().message;
    server_ = std::move(made).value();
  }

  void turn() {
    std::vector<pollfd> fds;
    server_->add_poll_fds(fds);
    ::poll(fds.data(), fds.size(), server_->wake_at_ns() <= now_ns_ ? 0 : 50);
    server_->on_ready(fds, now_ns_);
  }

  // The whole reply to a request.
  std::string ask(const std::string& request) {
    Client client(server_->address());
    client.send(request);
    for (int i = 0; i < 1000 && !client.is_closed(); ++i) {
      turn();
      client.receive();
    }
    EXPECT_TRUE(client.is_closed());
    return client.receive();
  }

  std::string body_ = "a 1\n";
  unsigned pages_ = 0;
  TimeNs now_ns_ = 1;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(Http, GetsThePage) {
  EXPECT_EQ(ask("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 4\r\n"
            "Connection: close\r\n\r\na 1\n");
  EXPECT_EQ(server_->counters().answered, 1u);
}

TEST_F(Http, HeadHasNoBody) {
  const std::string reply = ask("HEAD /metrics HTTP/1.0\r\n\r\n");
  EXPECT_NE(reply.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_TRUE(reply.ends_with("\r\n\r\n"));
}

TEST_F(Http, ALongPageComesWhole) {
  body_ = std::string(3'000'000, 'x');
  const std::string reply = ask("GET /metrics HTTP/1.1\r\n\r\n");
  EXPECT_EQ(reply.size() - reply.find("\r\n\r\n") - 4, body_.size());
}

TEST_F(Http, RefusesWhatItDoesNotServe) {
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(ask("GET /metrics/x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  const std::string post = ask("POST /metrics HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(post.starts_with("HTTP/1.1 405 "));
  EXPECT_NE(post.find("Allow: GET, HEAD\r\n"), std::string::npos);
  for (const char* bad : {"\r\n\r\n", "GET\r\n\r\n", "GET /metrics\r\n\r\n", " / HTTP/1.1\r\n\r\n",
                          "GET metrics HTTP/1.1\r\n\r\n", "GET /metrics HTTP/2.0\r\n\r\n"}) {
    EXPECT_TRUE(ask(bad).starts_with("HTTP/1.1 400 ")) << bad;
  }
  EXPECT_EQ(pages_, 0u);
  EXPECT_EQ(server_->counters().rejected, 9u);
}

TEST_F(Http, ARequestMayComeInPieces) {
  Client client(server_->address());
  for (const char* piece : {"GET /met", "rics HTTP/1.1\r", "\n\r", "\n"}) {
    client.send(piece);
    turn();
    turn();
  }
  for (int i = 0; i < 1000 && !client.is_closed(); ++i) {
    turn();
    client.receive();
  }
  EXPECT_TRUE(client.receive().starts_with("HTTP/1.1 200 "));
}

TEST_F(Http, ALongRequestIsRefused) {
  EXPECT_TRUE(ask("GET /" + std::string(9000, 'a')).starts_with("HTTP/1.1 431 "));
}

TEST_F(Http, AClientThatSaysNothingIsDismissed) {
  Client client(server_->address());
  for (int i = 0; i < 10; ++i) turn();
  EXPECT_LE(server_->wake_at_ns(), now_ns_ + 10 * ns_per_s);
  now_ns_ += 10 * ns_per_s;
  turn();
  client.receive();
  EXPECT_TRUE(client.is_closed());
  EXPECT_EQ(server_->counters().dismissed, 1u);
}

TEST_F(Http, ClientsAreBounded) {
  listen({.clients_max = 2});
  Client first(server_->address()), second(server_->address()), third(server_->address());
  for (int i = 0; i < 100 && !third.is_closed(); ++i) {
    turn();
    third.receive();
  }
  EXPECT_TRUE(third.is_closed());
  first.receive();
  EXPECT_FALSE(first.is_closed());
  EXPECT_EQ(server_->counters().refused, 1u);
}

TEST_F(Http, OnePageATurn) {
  Client first(server_->address()), second(server_->address());
  for (int i = 0; i < 100 && server_->counters().accepted < 2; ++i) turn();
  first.send("GET /metrics HTTP/1.1\r\n\r\n");
  second.send("GET /metrics HTTP/1.1\r\n\r\n");
  for (unsigned before = 0; pages_ < 2; before = pages_) {
    turn();
    ASSERT_LE(pages_, before + 1);
  }
}

TEST_F(Http, AnAddressInUseIsAnError) {
  auto second = HttpServer::listen({.address = server_->address()}, {});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("[metrics] address 127.0.0.1:"), std::string::npos);
  EXPECT_NE(second.error().message.find("free port"), std::string::npos);
}

}  // namespace
}  // namespace chaincast::console
