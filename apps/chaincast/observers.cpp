// SPDX-License-Identifier: BSD-3-Clause
#include "observers.hpp"

#include <fmt/format.h>

#include "console/http/server.hpp"
#include "console/rest/server.hpp"
#include "console/telemetry/telemetry.hpp"
#include "identity/identity.hpp"
#include "node/metrics_page.hpp"
#include "port/port.hpp"

namespace chaincast {

namespace {

using Runner = console::Telemetry::Runner;

Result<std::unique_ptr<cli::Console>> serve_metrics(node::Node& node, const Endpoint& address,
                                                    const Runner& run) {
  auto server = console::HttpServer::listen({.address = address},
                                            {{"/metrics", std::string(metrics::content_type),
                                              [run] { return node::metrics_page(run); }}});
  if (!server) return server.error();
  const std::string url = fmt::format("http://{}/metrics", port::to_text((*server)->address()));
  node.log().info(port::is_loopback(address)
                      ? "metrics: " + url
                      : "metrics: " + url + ", to whoever reaches it: nobody is authenticated");
  return std::unique_ptr<cli::Console>(std::move(server).value());
}

Result<std::unique_ptr<cli::Console>> serve_rest(node::Node& node, const node::RestConfig& config,
                                                 const base::ThreadStarter& threads) {
  std::string token;
  if (!config.token_file.empty()) {
    auto loaded = identity::load_token(config.token_file);
    if (!loaded) return loaded.error();
    token = std::move(loaded).value();
  }
  console::RestOptions options;
  options.address = *config.address;
  if (port::is_loopback(options.address)) {
    options.hosts = {"localhost", "127.0.0.1", port::address_text(options.address), "[::1]"};
  }
  auto server = console::RestServer::listen(options, rest::Api(node.table(), node, token), threads);
  if (!server) return server.error();
  node.log().info(fmt::format("rest: http://{}/v1/openapi.json{}",
                              port::to_text((*server)->address()),
                              token.empty() ? "" : ", writes need the token"));
  return std::unique_ptr<cli::Console>(std::move(server).value());
}

std::vector<console::TelemetryCommand> telemetry_commands() {
  return {
      {"/chaincast/status", "show status", "", "", "Name, uptime and counts of the node"},
      {"/chaincast/drops", "show drops", "drops", "reason", "Losses. Parameter: reason"},
      {"/chaincast/workers", "show workers", "workers", "worker", "Workers. Parameter: number"},
      {"/chaincast/dedup", "show dedup", "", "", "What deduplication did"},
      {"/chaincast/pools", "show pools", "pools", "pool", "Packet buffers. Parameter: pool"},
      {"/chaincast/ports", "show port stats all", "ports", "name", "Ports. Parameter: name"},
      {"/chaincast/peers", "show peers", "peers", "name", "Peers. Parameter: name"},
      {"/chaincast/links", "show links", "", "", "What was refused on the links' control path"},
      {"/chaincast/capture", "show capture", "", "", "The capture that runs, or the last one"},
      {"/chaincast/latency", "show latency stages", "stages", "stage",
       "Time in stages. Parameter: stage"},
      {"/chaincast/copies", "show latency peers", "peers", "peer",
       "Time to peers' ports. Parameter: peer"},
      {"/chaincast/streams", "show streams", "streams", "name", "Streams. Parameter: name"},
  };
}

}  // namespace

Result<std::vector<std::unique_ptr<cli::Console>>> open_observers(
    node::Node& node, const base::ThreadStarter& threads) {
  std::vector<std::unique_ptr<cli::Console>> out;
  const Runner run = [&node](std::string_view line) { return node.run(line); };
  if (const std::optional<Endpoint>& address = node.config().metrics.address; address) {
    auto metrics = serve_metrics(node, *address, run);
    if (!metrics) return metrics.error();
    out.push_back(std::move(metrics).value());
  }
  if (node.config().rest.address) {
    auto rest = serve_rest(node, node.config().rest, threads);
    if (!rest) return rest.error();
    out.push_back(std::move(rest).value());
  }
  auto telemetry = console::Telemetry::open(telemetry_commands(), run);
  if (telemetry) {
    out.push_back(std::move(telemetry).value());
  } else {
    node.log().warning(telemetry.error().message);
  }
  return out;
}

std::string summary(node::Node& node) {
  return fmt::format("node {}: {} of {} peers up, {} streams", node.config().node.name,
                     node.peering().peers_up().size(), node.peering().peers().size(),
                     node.carrier().carried().size());
}

}  // namespace chaincast
