// SPDX-License-Identifier: BSD-3-Clause
#include "console/rest/server.hpp"

#include <fmt/format.h>
#include <httplib.h>
#include <sched.h>

#include <algorithm>
#include <cstring>

#include "port/port.hpp"

namespace chaincast::console {

namespace {

constexpr unsigned answers_per_turn_max = 8;
constexpr time_t keep_alive_s = 2;  // an idle client holds one of few threads for so long
constexpr size_t connections_waiting_max = 64;
constexpr const char* answered_header = "Cache-Control";  // every answer of ours has it

// cpp-httplib's own pool takes connections without bound. Here the accepting thread waits, and the
// kernel's backlog refuses the rest.
class BoundedPool final : public httplib::TaskQueue {
 public:
  explicit BoundedPool(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back([this](std::stop_token stop) { work(stop); });
    }
  }
  void enqueue(std::function<void()> task) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tasks_.size() < connections_waiting_max; });
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }
  void shutdown() override {
    for (std::jthread& thread : threads_) thread.request_stop();
    changed_.notify_all();
    threads_.clear();
  }

 private:
  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return !tasks_.empty(); })) {
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      changed_.notify_all();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::jthread> threads_;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::string media_type(const std::string& header) {
  std::string type = lower(header.substr(0, header.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  return type;
}

// "[::1]:80", "host:80", "host".
std::string host_name(const std::string& header) {
  const size_t bracket = header.find(']');
  const size_t from = bracket == std::string::npos ? 0 : bracket;
  return lower(header.substr(0, header.find(':', from)));
}

rest::Request request_of(const httplib::Request& in) {
  rest::Request out;
  out.method = in.method;
  out.path = in.path;
  for (const auto& [name, value] : in.params) out.query[name] = value;
  out.content_type = media_type(in.get_header_value("Content-Type"));
  out.authorization = in.get_header_value("Authorization");
  out.origin = in.get_header_value("Origin");
  out.body = in.body;
  return out;
}

void put(const rest::Response& from, httplib::Response& to) {
  to.status = from.status;
  if (!from.content_type.empty()) to.set_content(from.body, from.content_type);
  if (!from.allow.empty()) to.set_header("Allow", from.allow);
  if (from.retry_after_s > 0) to.set_header("Retry-After", std::to_string(from.retry_after_s));
  to.set_header(answered_header, "no-store");
}

}  // namespace

RestServer::RestServer(RestOptions options, Handler handler)
    : options_(std::move(options)),
      handler_(std::move(handler)),
      server_(std::make_unique<httplib::Server>()) {
  configure();
}

void RestServer::configure() {
  const auto seconds = static_cast<time_t>(options_.patience_ns / ns_per_s);
  server_->new_task_queue = [threads = options_.threads] { return new BoundedPool(threads); };
  server_->set_payload_max_length(options_.body_bytes_max);
  server_->set_read_timeout(seconds).set_write_timeout(seconds);
  server_->set_keep_alive_timeout(keep_alive_s);
  server_->set_tcp_nodelay(true);
  const auto answer = [this](const httplib::Request& in, httplib::Response& out) {
    const auto& hosts = options_.hosts;
    const bool is_known =
        hosts.empty() || std::find(hosts.begin(), hosts.end(),
                                   host_name(in.get_header_value("Host"))) != hosts.end();
    put(is_known ? handler_(request_of(in))
                 : rest::failure(403, "host", "this address answers to its own names alone"),
        out);
  };
  constexpr const char* any_path = ".*";
  server_->Get(any_path, answer).Post(any_path, answer).Put(any_path, answer);
  server_->Patch(any_path, answer).Delete(any_path, answer).Options(any_path, answer);
  // The library knows these methods and routes them nowhere.
  server_->set_pre_routing_handler([answer](const httplib::Request& in, httplib::Response& out) {
    if (in.method != "TRACE" && in.method != "CONNECT") {
      return httplib::Server::HandlerResponse::Unhandled;
    }
    answer(in, out);
    return httplib::Server::HandlerResponse::Handled;
  });
  // What the library refuses by itself: too long, malformed.
  server_->set_error_handler([this](const httplib::Request&, httplib::Response& out) {
    if (out.has_header(answered_header)) return;
    const bool is_long = out.status == 413;
    if (options_.refuses_mutely) {
      rest::Response mute;
      mute.status = 400;
      mute.content_type.clear();
      return put(mute, out);
    }
    put(rest::failure(out.status, is_long ? "too_long" : "invalid",
                      is_long ? "the body is longer than this node takes" : "no such request"),
        out);
  });
  server_->set_logger([this](const httplib::Request&, const httplib::Response& out) {
    (out.status < 400 ? answered_ : rejected_).fetch_add(1, std::memory_order_relaxed);
  });
}

Status RestServer::bind() {
  const std::string host = port::address_text(options_.address);
  server_->set_address_family(options_.address.is_ipv6 ? AF_INET6 : AF_INET);
  const bool is_any = options_.address.port == 0;
  const int port = is_any ? server_->bind_to_any_port(host)
                   : server_->bind_to_port(host, options_.address.port) ? options_.address.port
                                                                        : -1;
  if (port > 0) {
    options_.address.port = static_cast<uint16_t>(port);
    return {};
  }
  return error(ErrorCode::io, fmt::format("rest address {}: cannot bind: {}; choose an address "
                                          "of this host and a free port",
                                          port::to_text(options_.address), std::strerror(errno)));
}

Result<std::unique_ptr<RestServer>> RestServer::listen(RestOptions options, rest::Api api,
                                                       const base::ThreadStarter& threads) {
  std::unique_ptr<RestServer> out(new RestServer(std::move(options), Handler()));
  out->api_.emplace(std::move(api));
  out->handler_ = [self = out.get()](const rest::Request& request) {
    return self->queue_.ask(request, self->options_.patience_ns);
  };
  return start(std::move(out), threads);
}

Result<std::unique_ptr<RestServer>> RestServer::listen(RestOptions options, Handler handler,
                                                       const base::ThreadStarter& threads) {
  return start(std::unique_ptr<RestServer>(new RestServer(std::move(options), std::move(handler))),
               threads);
}

Result<std::unique_ptr<RestServer>> RestServer::start(std::unique_ptr<RestServer> server,
                                                      const base::ThreadStarter& threads) {
  if (Status bound = server->bind(); !bound) return bound.error();
  // Its threads are started from there, and inherit the cpus.
  server->listener_ = threads.start("rest", [self = server.get()](const std::stop_token&) {
    self->server_->listen_after_bind();
    self->is_over_.store(true, std::memory_order_release);
  });
  return server;
}

RestServer::~RestServer() {
  queue_.close();
  if (!listener_.joinable()) return;
  // The library forgets a stop that comes before it runs.
  while (!server_->is_running() && !is_over_.load(std::memory_order_acquire)) sched_yield();
  server_->stop();
  listener_.join();
}

void RestServer::add_poll_fds(std::vector<pollfd>& fds) const {
  fds.push_back({queue_.fd(), POLLIN, 0});
}

TimeNs RestServer::wake_at_ns() const {
  return has_more_ ? 0 : time_never;
}

void RestServer::on_ready(std::span<const pollfd>, TimeNs) {
  has_more_ = queue_.answer(answers_per_turn_max,
                            [this](const rest::Request& request) { return api_->handle(request); });
}

RestCounters RestServer::counters() const {
  return {answered_.load(std::memory_order_relaxed), rejected_.load(std::memory_order_relaxed)};
}

ops::Json RestServer::describe() const {
  const RestCounters counters = this->counters();
  return {{"kind", "rest"},
          {"address", port::to_text(options_.address)},
          {"answered", counters.answered},
          {"rejected", counters.rejected}};
}

}  // namespace chaincast::console
