// SPDX-License-Identifier: BSD-3-Clause
#include "instance.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/socket_address.hpp"
#include "console/unix/server.hpp"
#include "factory/factory.hpp"
#include "identity/identity.hpp"
#include "rest/streaming.hpp"
#include "worker/threads.hpp"

namespace chaincast {

namespace {

constexpr TimeNs watch_interval_ns = 20 * ns_per_ms;
constexpr TimeNs silent_max_ns = 5 * ns_per_s;  // a member of what has no origin now is a member
constexpr unsigned port_attempts = 8;           // somebody else may take a free port first
constexpr const char* network = "chaincast streaming";
constexpr uint32_t size_min = 1u << 20, size_limit = 16u << 20;  // of a stream's largest object

std::string key_file(const Place& place) {
  return place.directory + "/node.key";
}

std::string secret_file(const Place& place) {
  return place.directory + "/stream.secret";
}

std::string name_of(const Place& place) {
  return "rest-" + place.id;
}

// A free UDP port of an address, as the system picks it.
Result<uint16_t> free_udp_port(const Endpoint& address) {
  const int fd = ::socket(address.is_ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  Endpoint any_port = address;
  any_port.port = 0;
  sockaddr_storage own{};
  socklen_t bytes = to_sockaddr(any_port, own);
  auto* const raw = reinterpret_cast<sockaddr*>(&own);
  const bool is_bound =
      fd >= 0 && ::bind(fd, raw, bytes) == 0 && ::getsockname(fd, raw, &bytes) == 0;
  const std::string why = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  if (is_bound) return from_sockaddr(own).port;
  return error(ErrorCode::io, fmt::format("--rest-address {}: no UDP port there: {}; choose an "
                                          "address of this host",
                                          port::address_text(address), why));
}

node::StreamConfig stream_for(const Wish& wish, const Place& place) {
  node::StreamConfig out;
  out.name = wish.resource;
  out.publish = wish.role == Role::host;
  if (out.publish) out.secret_file = secret_file(place);  // members are handed it
  // Of a member it is the most that it takes: what the resource has is in the origin's descriptor.
  const uint64_t wanted = out.publish ? wish.size_max : size_limit;
  out.object_bytes_max = static_cast<uint32_t>(std::clamp<uint64_t>(wanted, size_min, size_limit));
  return out;
}

}  // namespace

node::Config config_for(const Wish& wish, const Place& place, uint16_t udp_port) {
  node::Config out;
  out.node.name = name_of(place);
  out.node.key_file = key_file(place);
  out.node.socket = place.directory + "/node.sock";
  out.node.network = network;
  node::PortConfig port;
  port.name = "udp";
  port.address = place.address;
  port.address->port = udp_port;
  out.ports.push_back(port);
  if (wish.role != Role::supernode) out.streams.push_back(stream_for(wish, place));
  out.membership.address = place.address;  // and any port
  out.membership.is_supernode = wish.role == Role::supernode;
  out.membership.trackers = wish.trackers;
  if (out.membership.trackers.size() > node::trackers_max) {
    out.membership.trackers.resize(node::trackers_max);
  }
  return out;
}

Standing standing_of(node::Node& node, const Wish& wish) {
  node::Membership& membership = *node.membership();
  Standing out;
  out.tcp_port = membership.sessions().address().port;
  if (membership.join().state() == join::State::refused) {
    out.state = Standing::State::refused;
    out.why = "the subnetwork is private, and none of its hosts lists this node";
  }
  if (membership.join().state() != join::State::joined) return out;
  const auto stream = node.stream(wish.resource);
  // What an origin publishes before a member knows of it is not for that member.
  const bool waits = wish.role == Role::member && (!stream || stream->stream.value == 0);
  out.state = waits ? Standing::State::silent : Standing::State::in;
  return out;
}

// Looks at the node's standing until it is in or refused. A console, so that it is called.
class Instance::Watch final : public cli::Console {
 public:
  explicit Watch(Instance& instance) : instance_(instance) {}
  void add_poll_fds(std::vector<pollfd>&) const override {}
  TimeNs wake_at_ns() const override { return is_done_ ? time_never : again_ns_; }
  void on_ready(std::span<const pollfd>, TimeNs now_ns) override {
    again_ns_ = now_ns + watch_interval_ns;
    if (is_done_) return;
    const Standing standing = standing_of(*instance_.node_, instance_.wish_);
    if (standing.state != Standing::State::silent) silent_until_ns_ = now_ns + silent_max_ns;
    const bool is_in = standing.state == Standing::State::in || now_ns >= silent_until_ns_;
    is_done_ = is_in || standing.state == Standing::State::refused;
    if (is_in) instance_.settle(State::ready, standing.tcp_port);
    if (standing.state == Standing::State::refused) instance_.fail(standing.why);
  }
  ops::Json describe() const override { return {{"kind", "instance"}}; }

 private:
  Instance& instance_;
  TimeNs again_ns_ = 0;
  TimeNs silent_until_ns_ = 0;
  bool is_done_ = false;
};

Instance::Instance(Wish wish, Place place, const Shared& shared)
    : wish_(std::move(wish)), place_(std::move(place)), shared_(shared) {
  thread_ = shared_.threads.start("rest-" + place_.id, [this](const std::stop_token&) { run(); });
}

Instance::~Instance() {
  request_stop();
  thread_.join();
}

void Instance::request_stop() {
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
  if (node_ != nullptr) node_->request_stop();
  changed_.notify_all();
}

rest::Outcome Instance::wait(TimeNs patience_ns) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::nanoseconds(patience_ns),
                    [&] { return is_stopped_ || state_ != State::starting; });
  return state_ == State::ready && !is_stopped_ ? outcome_ : rest::Outcome();
}

void Instance::settle(State state, uint16_t tcp_port) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  outcome_.is_success = state == State::ready;
  outcome_.instance = place_.id;
  outcome_.tcp_port = tcp_port;
  outcome_.udp_port = feed_ != nullptr ? feed_->udp_port() : uint16_t{0};
  outcome_.resource = wish_.resource;
  outcome_.size_max = wish_.size_max;
  changed_.notify_all();
}

void Instance::fail(const std::string& why) {
  shared_.log(node::LogLevel::error, fmt::format("{}: {}", name_of(place_), why));
  settle(State::failed, 0);
}

void Instance::show(node::Node* node, const console::Feed* feed) {
  const std::lock_guard lock(mutex_);
  node_ = node;
  feed_ = feed;
  if (node != nullptr && is_stopped_) node->request_stop();
}

void Instance::run() {
  if (Status served = serve(); !served) fail(served.error().message);
  std::error_code ignored;
  std::filesystem::remove_all(place_.directory, ignored);
}

Result<std::unique_ptr<node::Node>> Instance::make_node(
    const node::Environment& environment) const {
  for (unsigned attempt = 1;; ++attempt) {
    const auto udp_port = free_udp_port(place_.address);
    if (!udp_port) return udp_port.error();
    node::Config config = config_for(wish_, place_, *udp_port);
    auto problems = node::resolve_config(config);
    if (problems.empty()) problems = node::check_config(config);
    if (!problems.empty()) {
      return error(ErrorCode::invalid, fmt::format("{} {}: {}", problems[0].section,
                                                   problems[0].key, problems[0].message));
    }
    auto node = node::Node::create(std::move(config), environment);
    if (node || node.error().code != ErrorCode::exists || attempt == port_attempts) return node;
  }
}

Result<std::unique_ptr<console::Feed>> Instance::open_feed(node::Node& node) const {
  if (wish_.role == Role::supernode) return std::unique_ptr<console::Feed>();
  return console::Feed::open({wish_.resource, wish_.role == Role::host, wish_.size_max}, node);
}

// Makes the node and all around it, and runs it to its end.
Status Instance::serve() {
  std::error_code failed;
  std::filesystem::create_directory(place_.directory, failed);
  Status made = identity::create_identity(shared_.toolbox, key_file(place_));
  if (made && wish_.role == Role::host) {
    made = identity::create_secret(shared_.toolbox, secret_file(place_));
  }
  if (!made) return made;
  const auto workers = worker::make_registered_threads(shared_.threads);
  const node::Environment environment =
      factory::make_environment(shared_.threads, *workers, shared_.toolbox,
                                [this](node::LogLevel level, const std::string& text) {
                                  shared_.log(level, fmt::format("{}: {}", name_of(place_), text));
                                });
  auto node = make_node(environment);
  if (!node) return node.error();
  console::ServerOptions socket;
  socket.path = (*node)->config().node.socket;
  auto server = console::Server::listen(socket, **node);
  if (!server) return server.error();
  auto feed = open_feed(**node);
  if (!feed) return feed.error();
  Watch watch(*this);
  (*node)->attach(**server);
  if (*feed) (*node)->attach(**feed);
  (*node)->attach(watch);
  if (Status started = (*node)->start_workers(); !started) return started;
  show(node->get(), feed->get());
  const int code = (*node)->run();
  show(nullptr, nullptr);
  if (code != 0) shared_.log(node::LogLevel::warning, name_of(place_) + ": the drain timed out");
  return {};
}

ops::Json Instance::describe() const {
  constexpr const char* roles[] = {"supernode", "host", "member"};
  constexpr const char* states[] = {"starting", "ready", "failed"};
  const std::lock_guard lock(mutex_);
  return {{"instance", place_.id},
          {"role", roles[static_cast<size_t>(wish_.role)]},
          {"state", is_stopped_ ? "stopping" : states[static_cast<size_t>(state_)]},
          {"resource", wish_.resource},
          {"socket", place_.directory + "/node.sock"},
          {"feed", feed_ == nullptr ? ops::Json() : feed_->describe()}};
}

}  // namespace chaincast
