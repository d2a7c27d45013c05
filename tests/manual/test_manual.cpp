// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manual/manual.hpp"

namespace chaincast::manual {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Page, WhatRoffWouldTakeForItsOwnIsEscaped) {
  Page page("a-tool", 1, "does things");
  page.item("--option 'x'", ".hidden files\\n");
  page.lines(".TH\n'quoted'");
  EXPECT_THAT(page.text(), HasSubstr("a\\-tool \\- does things\n"));
  EXPECT_THAT(page.text(),
              HasSubstr(".TP\n\\fB\\-\\-option \\(aqx\\(aq\\fR\n\\&.hidden files\\en\n"));
  EXPECT_THAT(page.text(), HasSubstr("\n\\&.TH\n\\(aqquoted\\(aq\n"));
}

TEST(Page, BackquotesAreBoldAndLinesAreJoined) {
  Page page("a", 7, "b");
  page.paragraph("use `show peers`\nto see");
  EXPECT_THAT(page.text(), HasSubstr(".PP\nuse \\fBshow peers\\fR to see\n"));
}

TEST(Page, SeeAlsoNamesPagesWithCommasBetween) {
  Page page("a", 7, "b");
  page.see_also({"chaincast(8)", "chaincast-gen(1)"});
  EXPECT_THAT(page.text(), HasSubstr(".BR chaincast (8),\n.BR chaincast\\-gen (1)\n"));
  EXPECT_THAT(page.text(), Not(HasSubstr("(1),")));
}

}  // namespace
}  // namespace chaincast::manual
