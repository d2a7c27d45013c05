// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string_view>

#include "crypto/openssl/toolbox.hpp"
#include "identity/identity.hpp"
#include "manual/options.hpp"
#include "node/config.hpp"
#include "node/features.hpp"
#include "node/manual.hpp"

namespace chaincast {

namespace {

constexpr const char* footer =
    "A first node:\n"
    "  chaincast keygen node.key && chaincast keygen secret link.secret\n"
    "  chaincast --example-config > node.toml\n"
    "  chaincast --config node.toml\n"
    "EAL options stand before `--` or in [node] eal of the configuration.\n"
    "Exit codes: 0 ok, 1 failed, 2 usage or drain timed out.";

int failed(const Error& failure) {
  std::fprintf(stderr, "chaincast: %s\n", failure.message.c_str());
  return 1;
}

void declare_genesis(CLI::App& app, GenesisOptions& options) {
  CLI::App* command = app.add_subcommand(
      "genesis", "write the file that a network begins with, and print the network's id");
  command->footer(
      "KEY is a key file, or a key as the 64 hex digits that `keygen` prints. An existing file is "
      "never overwritten.");
  command->add_option("file", options.file, "file to write, which must not exist")
      ->required()
      ->type_name("FILE");
  command->add_option("--name", options.genesis.name, "of the network: 1 to 64 of [a-z0-9._-]")
      ->required()
      ->type_name("NAME");
  command->add_option("--admission", options.admission, "open: anyone; listed: whom it names")
      ->required()
      ->check(CLI::IsMember({"open", "listed"}));
  const auto add_keys = [&](const char* name, std::vector<std::string>& keys, const char* text) {
    return command->add_option(name, keys, text)->type_name("KEY");
  };
  add_keys("--founder", options.founders, "nodes that it begins with")->required();
  add_keys("--endorser", options.endorsers, "who sign admissions later");
  add_keys("--admit", options.admitted, "nodes that may come in as well, where listed");
  const auto add_number = [&](const char* name, unsigned& value, const char* text,
                              const CLI::Range& range) {
    command->add_option(name, value, text)->check(range)->capture_default_str();
  };
  identity::Genesis& genesis = options.genesis;
  add_number("--threshold", genesis.threshold_percent, "percent of the endorsers",
             CLI::Range(51, 100));
  add_number("--votes", genesis.votes_percent,
             "percent of votes that a frame needs where its stream does not say",
             CLI::Range(0, 100));
  add_number("--links", genesis.links, "links that a node asks for", CLI::Range(2, 32));
}

void declare(CLI::App& app, Options& options) {
  app.name("chaincast [EAL options --]");
  app.description("chaincast: packet dissemination node");
  app.footer(footer);
  CLI::Option* const config =
      app.add_option("--config", options.config_file, "configuration file (TOML)");
  CLI::Option* const rest =
      app.add_option("--rest", options.rest_address,
                     "no node of its own: serve the streaming interface at IP:PORT, and make nodes "
                     "as its callers ask");
  rest->excludes(config);
  app.add_option("--rest-token", options.token_file,
                 "with --rest: the file of the token that POST has to show")
      ->needs(rest);
  app.add_option("--rest-address", options.ports_address,
                 "with --rest: the IP address where the nodes are reached by others")
      ->needs(rest)
      ->capture_default_str();
  app.add_option("--cmdline-file", options.command_file, "commands to run after start-up");
  app.add_flag("-i,--interactive", options.is_interactive, "prompt on the terminal");
  app.add_option("--stats-period", options.stats_period_s,
                 "print the ports' statistics every so many seconds")
      ->check(CLI::Range(1, 3600));
  app.add_flag("--check-config", options.check_config, "check the configuration and exit");
  app.add_flag("--example-config", options.example_config, "print a commented configuration");
  app.add_flag("--print-commands", options.print_commands, "print docs/commands.md");
  app.add_flag("--print-schemas", options.print_schemas,
               "print the JSON Schema of every command's reply");
  app.add_option("--print-man", options.manual,
                 "print a manual page: chaincast, chaincast.toml or chaincast-commands")
      ->check(CLI::IsMember({"chaincast", "chaincast.toml", "chaincast-commands"}));
  app.add_flag("--version", options.show_version, "print the version");
  CLI::App* keygen = app.add_subcommand(
      "keygen",
      "make a node key: FILE; a secret: secret FILE; a relay secret: relay-secret FROM TO; a token "
      "of the REST interface: token FILE");
  keygen->add_option("arguments", options.keygen, "[secret|token|relay-secret FROM] FILE")
      ->required();
  declare_genesis(app, options.genesis);
}

std::string program_manual() {
  Options options;
  CLI::App app;
  declare(app, options);
  manual::Page page("chaincast", 8, "packet dissemination node");
  page.section("synopsis")
      .lines(
          "chaincast [EAL options --] --config FILE [options]\n"
          "chaincast [EAL options --] --rest IP:PORT [options]\n"
          "chaincast keygen FILE\n"
          "chaincast keygen secret FILE\n"
          "chaincast keygen token FILE\n"
          "chaincast keygen relay-secret FROM TO\n"
          "chaincast genesis FILE --name NAME --admission open|listed --founder KEY... [options]")
      .section("description")
      .paragraph(
          "Takes chained frames from its peers, drops the ones already seen, verifies the others, "
          "and sends each on once to every other peer. One process is one node; its configuration "
          "is chaincast.toml(5), its commands are in chaincast-commands(7). With --rest it is as "
          "many as programs on this host ask for over HTTP.")
      .section("options");
  manual::put_options(page, app);
  page.paragraph("EAL options of DPDK stand before `--`, or in [node] eal of the configuration.");
  page.section("keygen")
      .item("FILE", "makes an identity (Ed25519), prints the node's id and public key")
      .item("secret FILE", "makes the secret of a link or of a stream")
      .item("token FILE", "makes the token that clients of the REST interface show")
      .item("relay-secret FROM TO",
            "what a node needs of a stream's secret to relay it without reading it");
  manual::put_subcommand(page, *app.get_subcommand("genesis"));
  page.section("signals")
      .item("SIGTERM, SIGINT", "drain, say goodbye to the peers and end, as `quit` does")
      .item("SIGHUP", "read the configuration again, as `reload` does; the log says what changed")
      .item("SIGPIPE", "is ignored");
  page.section("exit status")
      .item("0", "ended as asked")
      .item("1", "could not start, or failed; the reason is on standard error")
      .item("2", "wrong usage, or the drain timed out");
  page.section("files")
      .item("/run/chaincast/NAME.sock",
            "control socket of a node whose configuration is under /etc; else NAME.sock beside the "
            "configuration")
      .item("node key, secrets", "mode 0600, made by `chaincast keygen`")
      .item("$XDG_STATE_HOME/chaincast/history",
            "lines of earlier prompts, 1000 at most, mode 0600; else below ~/.local/state");
  page.see_also(
      {"chaincastctl(1)", "chaincast-gen(1)", "chaincast.toml(5)", "chaincast-commands(7)"});
  return page.text();
}

std::string manual_of(const std::string& page) {
  if (page == "chaincast.toml") return node::config_manual();
  if (page == "chaincast-commands") return node::commands_manual();
  return program_manual();
}

}  // namespace

Options parse_options(int argc, char** argv, int& exit_code) {
  Options options;
  exit_code = -1;
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--" && options.eal.empty()) {
      options.eal = std::move(words);
      words.clear();
    } else {
      words.emplace_back(argv[i]);
    }
  }
  CLI::App app;
  declare(app, options);
  std::reverse(words.begin(), words.end());
  try {
    app.parse(words);
  } catch (const CLI::ParseError& problem) {
    exit_code = app.exit(problem) == 0 ? 0 : 2;
  }
  return options;
}

bool print_and_exit(const Options& options) {
  if (options.show_version) {
    std::puts("chaincast " CHAINCAST_VERSION);
  } else if (options.example_config) {
    std::fputs(node::example_config().c_str(), stdout);
  } else if (options.print_commands) {
    std::fputs(node::commands_markdown().c_str(), stdout);
  } else if (options.print_schemas) {
    std::fputs(node::schemas().c_str(), stdout);
  } else if (!options.manual.empty()) {
    std::fputs(manual_of(options.manual).c_str(), stdout);
  } else {
    return false;
  }
  return true;
}

int run_keygen(const std::vector<std::string>& arguments) {
  const auto toolbox = crypto::openssl::make_toolbox();
  if (arguments.size() == 2 && arguments[0] == "secret") {
    const Status made = identity::create_secret(*toolbox, arguments[1]);
    return made ? 0 : failed(made.error());
  }
  if (arguments.size() == 2 && arguments[0] == "token") {
    const Status made = identity::create_token(*toolbox, arguments[1]);
    return made ? 0 : failed(made.error());
  }
  if (arguments.size() == 3 && arguments[0] == "relay-secret") {
    const Status made = identity::export_relay_secret(*toolbox, arguments[1], arguments[2]);
    return made ? 0 : failed(made.error());
  }
  if (arguments.size() != 1) {
    std::fprintf(stderr,
                 "chaincast: keygen: expected FILE, `secret FILE`, `token FILE` or `relay-secret "
                 "FROM TO`\n");
    return 2;
  }
  if (const Status made = identity::create_identity(*toolbox, arguments[0]); !made) {
    return failed(made.error());
  }
  auto identity = identity::load_identity(*toolbox, arguments[0]);
  if (!identity) return failed(identity.error());
  std::printf("node %s\nkey  %s\n", identity->id.hex().c_str(),
              to_hex(identity->public_key).c_str());
  return 0;
}

}  // namespace chaincast
