// SPDX-License-Identifier: BSD-3-Clause
// subscribe SOCKET STREAM COUNT: prints COUNT objects as lines, from a poll loop of its own.
#include <poll.h>

#include <chaincast.hpp>
#include <cstdlib>
#include <iostream>

namespace {

using chaincast::client::Connection;
using chaincast::client::Milliseconds;

// All that is there; true once `left` objects have come or the subscription has ended.
bool drain(Connection& connection, unsigned long& left) {
  while (left > 0) {
    const auto event = connection.next(Milliseconds(0));
    if (!event) return false;
    if (event->is_object()) {
      std::cout << event->text() << '\n';
      --left;
    } else if (event->is_lost()) {
      std::cerr << "lost frames " << event->first_seq() << ".." << event->last_seq() << '\n';
    } else if (event->is_origin_lost()) {
      std::cerr << "origin lost\n";
    } else if (event->is_origin_back()) {
      std::cerr << "origin back\n";
    } else if (event->is_closed()) {
      std::cerr << "closed: " << event->reason() << '\n';
      return true;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: subscribe SOCKET STREAM COUNT\n";
    return 2;
  }
  try {
    Connection connection(argv[1]);
    connection.watch_origins();
    connection.subscribe(argv[2]);
    std::cerr << "subscribed" << std::endl;
    unsigned long left = std::strtoul(argv[3], nullptr, 10);
    // Whatever else the program waits for goes into the same poll.
    pollfd waiting{connection.fd(), POLLIN, 0};
    while (!drain(connection, left)) ::poll(&waiting, 1, -1);
    return left == 0 ? 0 : 1;
  } catch (const chaincast::client::Error& failure) {
    std::cerr << "subscribe: " << failure.what() << '\n';
    return 1;
  }
}
