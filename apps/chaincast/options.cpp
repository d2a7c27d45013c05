// SPDX-License-Identifier: BSD-3-Clause
#include "options.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string_view>

#include "crypto/openssl/toolbox.hpp"
#include "identity/identity.hpp"
#include "node/config.hpp"
#include "node/features.hpp"

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
  CLI::App app("chaincast: packet dissemination node", "chaincast [EAL options --]");
  app.footer(footer);
  app.add_option("--config", options.config_file, "configuration file (TOML)");
  app.add_option("--cmdline-file", options.command_file, "commands to run after start-up");
  app.add_flag("-i,--interactive", options.is_interactive, "prompt on the terminal");
  app.add_flag("--check-config", options.check_config, "check the configuration and exit");
  app.add_flag("--example-config", options.example_config, "print a commented configuration");
  app.add_flag("--print-commands", options.print_commands, "print docs/commands.md");
  app.add_flag("--version", options.show_version, "print the version");
  CLI::App* keygen = app.add_subcommand(
      "keygen",
      "make a node key: FILE; a secret: secret FILE; a relay secret: relay-secret FROM TO");
  keygen->add_option("arguments", options.keygen, "[secret|relay-secret FROM] FILE")->required();
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
  if (arguments.size() == 3 && arguments[0] == "relay-secret") {
    const Status made = identity::export_relay_secret(*toolbox, arguments[1], arguments[2]);
    return made ? 0 : failed(made.error());
  }
  if (arguments.size() != 1) {
    std::fprintf(stderr,
                 "chaincast: keygen: expected FILE, `secret FILE` or `relay-secret FROM TO`\n");
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
