// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <poll.h>

#include <string>
#include <vector>

#include "console/http/server.hpp"

namespace chaincast::console {

// One client: a request in, a reply out, goodbye. Owner: HttpServer; control thread.
class HttpConnection {
 public:
  // Owns `fd`, which must be non-blocking.
  HttpConnection(int fd, const HttpOptions& options, const std::vector<HttpPage>& pages,
                 HttpCounters& counters, TimeNs now_ns);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  pollfd poll_fd() const;
  TimeNs wake_at_ns() const;
  // Reads or sends what the socket has or takes.
  void on_ready(short revents, TimeNs now_ns);
  // A whole request waits for answer().
  bool is_asking() const { return state_ == State::asking; }
  void answer();
  bool finished() const { return state_ == State::finished; }

 private:
  // leaving: all is sent; what the client still sends is read, lest closing cut the reply short.
  enum class State { reading, asking, sending, leaving, finished };

  void read_input();
  void reply(const char* status, const std::string& content_type, const std::string& body,
             const char* extra = "");
  void reject(const char* status, const char* extra = "");
  void flush();

  const int fd_;
  const HttpOptions& options_;
  const std::vector<HttpPage>& pages_;
  HttpCounters& counters_;
  const TimeNs deadline_ns_;
  State state_ = State::reading;
  bool is_head_ = false;
  std::string in_;
  std::string out_;
  size_t out_start_ = 0;
};

}  // namespace chaincast::console
