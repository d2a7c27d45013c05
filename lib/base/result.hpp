// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/assert.hpp"

// Errors of the control plane. The data plane counts drops instead (stage/drop.hpp).
namespace chaincast {

enum class ErrorCode {
  invalid,      // malformed or out-of-range input
  not_found,    // the named thing does not exist
  exists,       // the named thing exists already
  refused,      // policy or capacity says no
  unsupported,  // this build, port or peer cannot do it
  io,           // the operating system said no
  timeout,
};

// A message for a person: names the thing, the place and the remedy, in that order.
struct Error {
  ErrorCode code = ErrorCode::invalid;
  std::string message;
};

inline Error error(ErrorCode code, std::string message) {
  return Error{code, std::move(message)};
}

// Value or Error. Asking for the part that is not there is a broken invariant.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}          // NOLINT: implicit
  Result(Error failure) : state_(std::in_place_index<1>, std::move(failure)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    CC_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    CC_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    CC_ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    CC_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error failure) : failed_(true), failure_(std::move(failure)) {}  // NOLINT: implicit

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    CC_ASSERT(failed_);
    return failure_;
  }

 private:
  bool failed_ = false;
  Error failure_;
};

using Status = Result<void>;

}  // namespace chaincast
