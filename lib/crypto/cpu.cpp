// SPDX-License-Identifier: BSD-3-Clause
#include "crypto/cpu.hpp"

#include <cpuid.h>

#include <cstring>

namespace chaincast::crypto {
namespace {

std::string brand() {
  unsigned words[12] = {};
  for (unsigned i = 0; i < 3; ++i) {
    unsigned* w = words + 4 * i;
    if (__get_cpuid(0x80000002u + i, w, w + 1, w + 2, w + 3) == 0) return {};
  }
  char text[sizeof words + 1] = {};
  std::memcpy(text, words, sizeof words);
  std::string out = text;
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace

CpuFeatures detect_cpu() {
  CpuFeatures cpu;
  cpu.brand = brand();
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  bool vaes = false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    cpu.sha_ni = (b & (1u << 29)) != 0;
    vaes = (c & (1u << 9)) != 0;
  }
  // These also ask whether the operating system saves the wide registers.
  cpu.aes_ni = __builtin_cpu_supports("aes");
  cpu.pclmul = __builtin_cpu_supports("pclmul");
  cpu.avx2 = __builtin_cpu_supports("avx2");
  cpu.bmi2 = __builtin_cpu_supports("bmi2");
  cpu.vaes_avx512 = vaes && __builtin_cpu_supports("avx512f") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return cpu;
}

Status check_cpu(const CpuFeatures& cpu) {
  std::string missing;
  const auto need = [&missing](bool has, const char* name) {
    if (!has) missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  need(cpu.aes_ni, "AES-NI");
  need(cpu.pclmul, "PCLMULQDQ");
  need(cpu.avx2, "AVX2");
  need(cpu.bmi2, "BMI2");
  if (missing.empty()) return {};
  return error(ErrorCode::unsupported,
               "cpu " + (cpu.brand.empty() ? std::string("(unnamed)") : cpu.brand) + ": lacks " +
                   missing +
                   "; run on a processor that has it (Intel since Haswell, AMD since Zen), or in a "
                   "virtual machine pass the host's features on (qemu: -cpu host)");
}

}  // namespace chaincast::crypto
