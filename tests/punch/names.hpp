// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "base/ids.hpp"

// Nodes and addresses of tests, by a number.
namespace chaincast::punch {

inline Endpoint at(uint8_t host, uint16_t port) {
  Endpoint out;
  out.address = {203, 0, 113, host};
  out.port = port;
  return out;
}

inline NodeId node(uint8_t number) {
  NodeId out;
  out.bytes.fill(number);
  return out;
}

}  // namespace chaincast::punch
