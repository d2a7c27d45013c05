// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "cli/session.hpp"
#include "cli/watch.hpp"

namespace chaincast::cli {
namespace {

using testing::HasSubstr;

ops::Reply echo(std::string_view line) {
  if (line == "bad") return error(ErrorCode::not_found, "no such thing");
  if (line == "nothing") return ops::Json{};
  return ops::Json{{"line", line}};
}

class SessionTest : public testing::Test {
 protected:
  ~SessionTest() override { std::remove(path_.c_str()); }

  std::string run_file(const std::string& text, Session::Options options) {
    std::ofstream(path_) << text;
    Session session(echo, options);
    std::string out;
    code_ = session.file(path_, [&](const Outcome& outcome) { out += outcome.output; });
    return out;
  }

  std::string path_ = testing::TempDir() + "chaincast_session_" + std::to_string(getpid());
  int code_ = -1;
};

TEST_F(SessionTest, CommentsAndBlankLinesYieldNothing) {
  Session session(echo, {});
  EXPECT_EQ(session.line("").output, "");
  EXPECT_EQ(session.line("  # show peers").output, "");
  EXPECT_EQ(session.line(" show peers ").output, "line: show peers\n");
}

TEST_F(SessionTest, TheJsonSuffixSelectsOneDocument) {
  Session session(echo, {});
  EXPECT_EQ(session.line("show peers json").output, "{\"line\":\"show peers\"}\n");
  EXPECT_EQ(session.line("start --json").output, "{\"line\":\"start\"}\n");
  // Only display commands give their last word up.
  EXPECT_EQ(session.line("load json").output, "line: load json\n");
  EXPECT_EQ(session.line("show peersjson").output, "line: show peersjson\n");
}

TEST_F(SessionTest, JsonModeGivesOneValidDocumentPerCommand) {
  Session session(echo, {.format = Format::json});
  for (const char* line : {"show x", "bad", "nothing"}) {
    const Outcome outcome = session.line(line);
    EXPECT_TRUE(ops::Json::accept(outcome.output)) << outcome.output;
    EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 1);
  }
  const auto failed = ops::Json::parse(session.line("bad").output);
  EXPECT_EQ(failed["error"]["code"], "not_found");
  EXPECT_EQ(session.line("bad").exit_code, 1);
}

TEST_F(SessionTest, BytesThatAreNoUtf8StillGiveValidJson) {
  Session session(
      [](std::string_view) -> ops::Reply {
        return ops::Json{{"n", "\xff\xfe"}};
      },
      {.format = Format::json});
  EXPECT_TRUE(ops::Json::accept(session.line("show x").output));
}

TEST_F(SessionTest, FilesGoOnAfterErrorsAndNameTheLine) {
  const std::string out = run_file("one\n# note\nbad\ntwo", {});
  EXPECT_EQ(out, "line: one\nerror: " + path_ + ":3: no such thing\nline: two\n");
  EXPECT_EQ(code_, 1);
}

TEST_F(SessionTest, FilesStopAtTheFirstErrorWhenAsked) {
  EXPECT_THAT(run_file("bad\ntwo\n", {.stop_at_error = true}), Not(HasSubstr("two")));
  EXPECT_EQ(code_, 1);
}

TEST_F(SessionTest, EchoPrintsTheCommandFirst) {
  EXPECT_EQ(run_file("one\r\n", {.echo = true}), "> one\nline: one\n");
  EXPECT_EQ(code_, 0);
}

TEST_F(SessionTest, MissingAndOversizedFilesAreErrors) {
  Session session(echo, {});
  std::string out;
  const auto sink = [&](const Outcome& outcome) { out += outcome.output; };
  EXPECT_EQ(session.file("/nonexistent/x", sink), 1);
  EXPECT_THAT(out, HasSubstr("/nonexistent/x: No such file"));
  EXPECT_THAT(run_file(std::string(command_file_bytes_max + 1, '#'), {}), HasSubstr("split it"));
  EXPECT_THAT(Session(echo, {}).line(std::string(line_bytes_max + 1, 'x')).output,
              HasSubstr("longer than 65536 bytes"));
}

TEST_F(SessionTest, AFileThatLoadsItselfEnds) {
  std::ofstream(path_) << "again\n";
  std::string out;
  Session* self = nullptr;
  const auto sink = [&](const Outcome& outcome) { out += outcome.output; };
  Session session(
      [&](std::string_view) -> ops::Reply {
        if (self->file(path_, sink) != 0) return error(ErrorCode::refused, "inner failed");
        return ops::Json{};
      },
      {});
  self = &session;
  EXPECT_EQ(session.file(path_, sink), 1);
  EXPECT_THAT(out, HasSubstr("8 files deep"));
}

TEST(ParseReply, IsTheReverseOfRendering) {
  for (const ops::Reply& reply :
       {ops::Reply(ops::Json{{"a", 1}}), ops::Reply(ops::Json{}), ops::Reply(ops::Json("text")),
        ops::Reply(error(ErrorCode::exists, "there is one")),
        ops::Reply(error(ErrorCode::timeout, "too late"))}) {
    const ops::Reply again = parse_reply(render(reply, Format::json).output);
    ASSERT_EQ(again.ok(), reply.ok());
    if (reply) {
      EXPECT_EQ(*again, *reply);
    } else {
      EXPECT_EQ(again.error().code, reply.error().code);
      EXPECT_EQ(again.error().message, reply.error().message);
    }
  }
  EXPECT_FALSE(parse_reply("{").ok());
}

TEST(ParseWatch, TakesWholeSecondsAndACommand) {
  const auto watch = parse_watch("  watch 5 show  peers b");
  ASSERT_TRUE(watch.has_value());
  EXPECT_EQ(watch->seconds, 5u);
  EXPECT_EQ(watch->command, "show  peers b");
  for (const char* line : {"watch", "watch 5", "watch 0 show", "watch 3601 show", "watch x show",
                           "watch 5s show", "show watch 5", "watch 5 \""}) {
    EXPECT_FALSE(parse_watch(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace chaincast::cli
