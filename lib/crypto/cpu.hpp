// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "base/result.hpp"

// What the processor offers. Programs call require_cpu() first of all in main, before EAL, so that
// an old machine gets a sentence and not an illegal instruction.
namespace chaincast::crypto {

struct CpuFeatures {
  std::string brand;  // "Intel(R) Xeon(R) ..."; may be empty
  bool aes_ni = false;
  bool pclmul = false;
  bool avx2 = false;
  bool bmi2 = false;
  bool sha_ni = false;       // not required: small hash batches are faster with it
  bool vaes_avx512 = false;  // not required: GCM, GMAC and link checks are faster with it
};

CpuFeatures detect_cpu();

// Ok, or `unsupported` with the cpu, what it lacks and the remedy. Pure.
Status check_cpu(const CpuFeatures& cpu);

inline Status require_cpu() {
  return check_cpu(detect_cpu());
}

}  // namespace chaincast::crypto
