// SPDX-License-Identifier: BSD-3-Clause
#include "console/http/connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace chaincast::console {

namespace {

constexpr std::string_view header_end = "\r\n\r\n";

struct RequestLine {
  std::string_view method;
  std::string_view path;  // without a query
  bool is_good = false;
};

RequestLine parse_request_line(std::string_view request) {
  RequestLine out;
  const std::string_view line = request.substr(0, request.find("\r\n"));
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || first == 0) return out;
  out.method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, second - first - 1);
  out.path = target.substr(0, target.find('?'));
  const std::string_view version = line.substr(second + 1);
  out.is_good = target.starts_with('/') && (version == "HTTP/1.1" || version == "HTTP/1.0");
  return out;
}

}  // namespace

HttpConnection::HttpConnection(int fd, const HttpOptions& options,
                               const std::vector<HttpPage>& pages, HttpCounters& counters,
                               TimeNs now_ns)
    : fd_(fd),
      options_(options),
      pages_(pages),
      counters_(counters),
      deadline_ns_(now_ns + options.patience_ns) {}

HttpConnection::~HttpConnection() {
  ::close(fd_);
}

pollfd HttpConnection::poll_fd() const {
  const bool reads = state_ == State::reading || state_ == State::leaving;
  const int events = reads ? POLLIN : state_ == State::sending ? POLLOUT : 0;
  return {fd_, static_cast<short>(events), 0};
}

TimeNs HttpConnection::wake_at_ns() const {
  return is_asking() ? 0 : deadline_ns_;
}

void HttpConnection::on_ready(short revents, TimeNs now_ns) {
  if ((revents & (POLLERR | POLLNVAL)) != 0) state_ = State::finished;
  if (state_ == State::reading || state_ == State::leaving) {
    if ((revents & (POLLIN | POLLHUP)) != 0) read_input();
  } else if (state_ == State::sending && (revents & (POLLOUT | POLLHUP)) != 0) {
    flush();
  }
  if (state_ != State::finished && now_ns >= deadline_ns_) {
    ++counters_.dismissed;
    state_ = State::finished;
  }
}

void HttpConnection::read_input() {
  std::array<char, 4096> buffer;
  const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    state_ = State::finished;
    return;
  }
  if (state_ == State::leaving) return;
  in_.append(buffer.data(), static_cast<size_t>(got));
  if (in_.find(header_end) != std::string::npos) {
    state_ = State::asking;
  } else if (in_.size() > options_.request_bytes_max) {
    reject("431 Request Header Fields Too Large");
  }
}

void HttpConnection::answer() {
  const RequestLine request = parse_request_line(in_);
  if (!request.is_good) return reject("400 Bad Request");
  is_head_ = request.method == "HEAD";
  if (!is_head_ && request.method != "GET") {
    return reject("405 Method Not Allowed", "Allow: GET, HEAD\r\n");
  }
  const auto page = std::find_if(pages_.begin(), pages_.end(),
                                 [&](const HttpPage& one) { return one.path == request.path; });
  if (page == pages_.end()) return reject("404 Not Found");
  ++counters_.answered;
  reply("200 OK", page->content_type, page->body());
}

void HttpConnection::reject(const char* status, const char* extra) {
  ++counters_.rejected;
  std::string paths;
  for (const HttpPage& page : pages_) paths += " " + page.path;
  reply(status, "text/plain; charset=utf-8", fmt::format("{}; here is{}\n", status, paths), extra);
}

void HttpConnection::reply(const char* status, const std::string& content_type,
                           const std::string& body, const char* extra) {
  out_ = fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
      status, content_type, body.size(), extra);
  if (!is_head_) out_ += body;
  in_.clear();
  state_ = State::sending;
  flush();
}

void HttpConnection::flush() {
  while (out_start_ < out_.size()) {
    const ssize_t sent = ::send(fd_, out_.data() + out_start_, out_.size() - out_start_,
                                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent <= 0) {
      state_ = State::finished;
      return;
    }
    out_start_ += static_cast<size_t>(sent);
  }
  ::shutdown(fd_, SHUT_WR);
  state_ = State::leaving;
}

}  // namespace chaincast::console
