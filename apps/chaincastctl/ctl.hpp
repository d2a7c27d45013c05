// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/watch.hpp"
#include "console/unix/client.hpp"

// What chaincastctl does, one function per kind of command. Each returns the exit code.
namespace chaincast::ctl {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;  // the node refused or failed
inline constexpr int exit_usage = 2;   // wrong arguments, no connection, connection lost
inline constexpr int exit_lost = 3;    // subscribe: something was lost

struct PublishOptions {
  std::string stream;
  std::string file;         // "-": stdin
  size_t object_bytes = 0;  // 0: the stream's largest object, at most 64 KiB
  bool json = false;
};
int publish(console::Client& client, const PublishOptions& options);

struct SubscribeOptions {
  std::string stream;
  std::string output;    // objects' bytes go here
  bool raw = false;      // or to stdout
  bool ring = false;     // through shared memory
  uint64_t count = 0;    // stop after so many objects; 0: never
  uint64_t bytes = 0;    // stop after so many bytes; 0: never
  double timeout_s = 0;  // stop then; 0: never
  bool json = false;     // one document per event, where bytes do not go to stdout
};
int subscribe(console::Client& client, const SubscribeOptions& options);

// Commands from a prompt (or, where standard input is no terminal, from its lines) on one
// connection, until `exit` or the end.
int prompt(console::Client& client);

// Repeats a command until a key or a signal; where standard output is a terminal, on a clear
// screen.
int watch(console::Client& client, const cli::Watch& wanted, bool json);

// What may follow `line`, one word a line: for the completion of shells.
int complete(console::Client& client, const std::string& line);

// The whole program: arguments without the program's name in, exit code out.
int run(std::vector<std::string> words);

// Prints an error where it belongs and gives its exit code: connection trouble is exit_usage.
int report(const Error& failure);

}  // namespace chaincast::ctl
