// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>

#include "crypto/cpu.hpp"

namespace chaincast::crypto {
namespace {

using testing::HasSubstr;
using testing::Not;

CpuFeatures good_cpu() {
  return {.brand = "Example 9000",
          .aes_ni = true,
          .pclmul = true,
          .avx2 = true,
          .bmi2 = true,
          .sha_ni = false,
          .vaes_avx512 = false};
}

TEST(Cpu, OptionalFeaturesAreOptional) {
  EXPECT_TRUE(check_cpu(good_cpu()).ok());
}

TEST(Cpu, RefusalNamesTheCpuWhatItLacksAndTheRemedy) {
  CpuFeatures cpu = good_cpu();
  cpu.aes_ni = false;
  cpu.avx2 = false;
  const Status status = check_cpu(cpu);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::unsupported);
  EXPECT_THAT(status.error().message, HasSubstr("Example 9000"));
  EXPECT_THAT(status.error().message, HasSubstr("AES-NI, AVX2"));
  EXPECT_THAT(status.error().message, Not(HasSubstr("PCLMULQDQ")));
  EXPECT_THAT(status.error().message, HasSubstr("-cpu host"));
}

TEST(Cpu, EachRequiredFeatureIsRequired) {
  for (bool CpuFeatures::*feature :
       {&CpuFeatures::aes_ni, &CpuFeatures::pclmul, &CpuFeatures::avx2, &CpuFeatures::bmi2}) {
    CpuFeatures cpu = good_cpu();
    cpu.*feature = false;
    EXPECT_FALSE(check_cpu(cpu).ok());
  }
}

TEST(Cpu, TheMachineOfThisTestIsGoodEnough) {
  const Status status = require_cpu();
  EXPECT_TRUE(status.ok()) << status.error().message;
}

}  // namespace
}  // namespace chaincast::crypto
