// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "support/session_rig.hpp"

// The suite: a program instantiates it for its implementation.
namespace chaincast::test {

class SessionRules : public testing::TestWithParam<SessionImplementation> {
 protected:
  SessionRules() : rig(GetParam()) {}

  // Both have the session, and nothing is on its way.
  void connect(SessionEnd& from, SessionEnd& to);
  // Two ends; the first has the smaller id.
  std::pair<SessionEnd*, SessionEnd*> pair();

  SessionRig rig;
};

}  // namespace chaincast::test
