// SPDX-License-Identifier: BSD-3-Clause
#include "arguments.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "manual/options.hpp"

namespace chaincast::generator {

namespace {

constexpr const char* footer_text =
    "The socket is --socket, else $CHAINCAST_SOCKET, else /run/chaincast/chaincast.sock.\n"
    "Exit codes: 0 done; 1 something was lost, duplicated, out of order or corrupt, too little\n"
    "came, or the node refused; 2 wrong usage, no connection, or connection lost.";

constexpr const char* send_footer_text =
    "Exactly one of --mrt, --pcap, --file, --routes and --sizes says what to send. Without a rate "
    "it "
    "goes\n"
    "as fast as the node takes it. With one, every object is due at a fixed time after the start:\n"
    "a late sender catches up, and the summary says how late it was. SIGINT ends a run with its\n"
    "summary.";

constexpr const char* receive_footer_text =
    "Objects stamped by 'send --stamp' are checked one by one: loss, duplication, order, "
    "content\n"
    "and latency, from the hand-over at the sender to the arrival here. Monotonic stamps are\n"
    "comparable on one host only, realtime ones where clocks are synchronised. It ends at the\n"
    "first of --count, --bytes, --seconds, --idle, SIGINT and the end of the stream.";

// "10k" and "2.5M" as numbers.
CLI::Validator scaled() {
  return CLI::AsNumberWithUnit(std::map<std::string, double>{{"k", 1e3}, {"M", 1e6}, {"G", 1e9}},
                               CLI::AsNumberWithUnit::CASE_SENSITIVE, "NUMBER[k|M|G]");
}

CLI::App* add_send(CLI::App& app, SendOptions& options, std::string& clock) {
  CLI::App* send = app.add_subcommand("send", "publish objects on a stream of this node");
  send->add_option("STREAM", options.stream, "configured name of the stream")->required();
  CLI::Option_group* source = send->add_option_group("What to send");
  source->add_option("--mrt", options.mrt,
                     "route updates of an MRT file (plain, gzip or bzip2), an object for each");
  source->add_option("--pcap", options.pcap,
                     "the packets of a pcap or pcapng recording (plain, gzip or bzip2), an object "
                     "for each");
  source->add_option("--file", options.file, "any file's bytes (- is stdin), cut into objects");
  source
      ->add_option("--routes,--synthetic", options.routes,
                   "made-up route updates of N prefix changes in all")
      ->check(CLI::PositiveNumber);
  source->add_option("--sizes", options.sizes,
                     "made-up objects of these sizes: 64,512,1400 or 64-9000 or imix "
                     "(64, 594, 1518 bytes as 7:4:1)");
  source->require_option(1);
  send->add_flag("--payloads", options.payloads,
                 "with --pcap: what its UDP datagrams carry, without their headers");
  send->add_option("--count", options.count, "objects to make, with --sizes")
      ->check(CLI::PositiveNumber);
  send->add_option("--seconds", options.seconds, "stop after so long")->check(CLI::PositiveNumber);
  send->add_option("--object-bytes", options.object_bytes,
                   "with --file: bytes of an object (default 64 KiB, or the stream's largest); "
                   "with routes: pack updates into objects of so many bytes")
      ->check(CLI::PositiveNumber);
  send->add_option("--rate", options.rate.objects_per_s, "objects a second")
      ->transform(scaled())
      ->check(CLI::PositiveNumber);
  send->add_option("--bitrate", options.rate.bits_per_s, "bits of objects a second")
      ->transform(scaled())
      ->check(CLI::PositiveNumber);
  send->add_flag("--stamp", options.stamp,
                 "with --sizes: put a stamp into each object, for 'receive' to check");
  send->add_option("--clock", clock, "of the stamps")
      ->check(CLI::IsMember({"monotonic", "realtime"}))
      ->capture_default_str();
  send->add_option("--seed", options.seed, "of what is made up: the same seed, the same bytes")
      ->capture_default_str();
  send->add_option("--record", options.record, "write the published bytes to this file too");
  send->footer(send_footer_text);
  return send;
}

void add_receive(CLI::App& app, ReceiveOptions& options) {
  CLI::App* receive = app.add_subcommand("receive", "subscribe to a stream and check what comes");
  receive->add_option("STREAM", options.stream, "configured name of the stream")->required();
  receive->add_option("--count", options.count, "stop after so many objects; fewer is a failure")
      ->check(CLI::PositiveNumber);
  receive->add_option("--bytes", options.bytes, "stop after so many bytes; fewer is a failure")
      ->check(CLI::PositiveNumber);
  receive->add_option("--seconds", options.seconds, "stop after so long")
      ->check(CLI::PositiveNumber);
  receive
      ->add_option("--idle", options.idle,
                   "stop when nothing came for so many seconds after the first object")
      ->check(CLI::PositiveNumber);
  receive->add_option("--output", options.output, "write the objects' bytes to this file");
  receive->add_option("--histogram", options.histogram,
                      "write the latencies of stamped objects to this file: CSV if it ends in "
                      ".csv, else percentiles as HdrHistogram prints them");
  receive->add_flag("--ring", options.ring, "through memory shared with the node, not its socket");
  receive->add_flag("--routes", options.routes,
                    "read the objects as route updates and count prefix changes");
  receive->add_flag("--stamped", options.stamped, "an object without a stamp is a failure");
  receive->add_flag("--late", options.joins_late,
                    "do not miss what a sender stamped before the first object seen");
  receive->footer(receive_footer_text);
}

std::string program_manual(const CLI::App& app) {
  manual::Page page("chaincast-gen", 1, "traffic for a chaincast node, and its check");
  page.section("synopsis")
      .lines(
          "chaincast-gen [options] send STREAM [options]\n"
          "chaincast-gen [options] receive STREAM [options]")
      .section("description")
      .paragraph(app.get_description())
      .section("options");
  manual::put_options(page, app);
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    manual::put_subcommand(page, *command);
  }
  page.section("environment and exit status").paragraph(app.get_footer());
  page.see_also({"chaincast(8)", "chaincastctl(1)"});
  return page.text();
}

// What CLI11 cannot say; empty if all is well.
std::string problem(const SendOptions& options) {
  const bool synthetic = !options.sizes.empty();
  if (options.stamp && !synthetic) return "--stamp: only objects made by --sizes have room for it";
  if (options.count > 0 && !synthetic) {
    return "--count: only with --sizes; files and routes end by themselves";
  }
  if (options.payloads && options.pcap.empty()) return "--payloads: only with --pcap";
  if (options.object_bytes > 0 && !options.pcap.empty()) {
    return "--object-bytes: with --pcap an object is a packet";
  }
  if (options.object_bytes > 0 && synthetic) return "--object-bytes: --sizes says it already";
  if (synthetic && options.count == 0 && options.seconds == 0) {
    return "--sizes: say how many with --count, or how long with --seconds";
  }
  return {};
}

}  // namespace

std::optional<int> parse_arguments(int argc, char** argv, CommandLine& line) {
  if (const char* given = std::getenv("CHAINCAST_SOCKET"); given != nullptr && *given != '\0') {
    line.socket = given;
  }
  bool json = false;
  std::string clock = gen::to_string(gen::StampClock::monotonic);
  CLI::App app("Traffic for a running chaincast node, and the check of what arrives.",
               "chaincast-gen");
  app.add_option("--socket", line.socket, "control socket of the node")->capture_default_str();
  app.add_flag("--json", json, "the summary as one JSON document");
  app.set_version_flag("--version", CHAINCAST_VERSION);
  app.footer(footer_text);
  app.require_subcommand(1);
  app.fallthrough();
  const CLI::App* send = add_send(app, line.send, clock);
  add_receive(app, line.receive);
  app.add_flag_callback(
      "--print-man",
      [&app] {
        std::fputs(program_manual(app).c_str(), stdout);
        throw CLI::Success();
      },
      "print chaincast-gen(1)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    return app.exit(failure) == 0 ? exit_ok : exit_usage;
  }
  line.sends = send->parsed();
  line.send.json = line.receive.json = json;
  if (clock == "realtime") line.send.clock = gen::StampClock::realtime;
  const std::string wrong = line.sends ? problem(line.send) : "";
  if (wrong.empty()) return std::nullopt;
  return report(error(ErrorCode::invalid, wrong));
}

}  // namespace chaincast::generator
