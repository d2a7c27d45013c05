// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "base/ids.hpp"

namespace chaincast::crypto::openssl {

// SHA-256 of a message that comes in pieces. One owner, any thread; movable.
class Sha256Stream {
 public:
  Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  ~Sha256Stream();
  void add(ByteSpan bytes) noexcept;
  // Of all so far; more may be added afterwards.
  Digest digest() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chaincast::crypto::openssl
