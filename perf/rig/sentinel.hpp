// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

// Two known pieces of work in the first-level cache, timed before and after each repetition: on
// shared machines SHA-256 on sixteen lanes and AES-GCM do not slow down alike, and a repetition in
// which they do not stand in their usual relation is not compared with others.
namespace chaincast::bench {

class Sentinel {
 public:
  struct Reading {
    double sha_ns = 0;  // per 1400 B message, sixteen at a time
    double gcm_ns = 0;  // per 1400 B message, AES-256-GCM encryption
    double quotient() const { return gcm_ns == 0 ? 0 : sha_ns / gcm_ns; }
  };

  Sentinel();
  ~Sentinel();
  Sentinel(const Sentinel&) = delete;
  Sentinel& operator=(const Sentinel&) = delete;

  // Medians of short trials; about 0.4 ms.
  Reading read();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace chaincast::bench
