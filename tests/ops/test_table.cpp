// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/nearest.hpp"
#include "ops/ops.hpp"
#include "ops/parse.hpp"
#include "ops/schema.hpp"

namespace chaincast::ops {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Argument word(std::string name, bool optional = false) {
  Argument out;
  out.name = std::move(name);
  out.optional = optional;
  return out;
}

Argument typed(std::string name, ArgumentType type, bool allows_all = false) {
  Argument out = word(std::move(name));
  out.type = type;
  out.allows_all = allows_all;
  return out;
}

Argument number(std::string name, std::string keyword, uint64_t min, uint64_t max,
                std::string unit) {
  Argument out = typed(std::move(name), ArgumentType::number);
  out.keyword = std::move(keyword);
  out.min = min;
  out.max = max;
  out.unit = std::move(unit);
  out.optional = !out.keyword.empty();
  return out;
}

Argument choice(std::string name, std::string keyword, std::vector<std::string> choices) {
  Argument out = typed(std::move(name), ArgumentType::choice);
  out.keyword = std::move(keyword);
  out.choices = std::move(choices);
  return out;
}

Operation operation(std::string path, std::vector<Argument> arguments) {
  Operation out;
  out.section = path.starts_with("show") ? "display" : "config";
  out.path = std::move(path);
  out.arguments = std::move(arguments);
  out.help = "does " + out.path;
  // Replies with what was bound, so that tests read the binding.
  out.handler = [names = out.arguments, path = out.path](const Arguments& bound) -> Reply {
    Json reply{{"path", path}};
    for (const Argument& argument : names) {
      if (bound.has(argument.name)) reply[argument.name] = bound.text(argument.name);
    }
    return reply;
  };
  return out;
}

class TableTest : public testing::Test {
 protected:
  TableTest() {
    add_help(table_);
    table_.add({
        operation("show peers", {word("peer", true)}),
        operation("show port info", {typed("port", ArgumentType::port, true)}),
        operation("show port stats", {typed("port", ArgumentType::port, true)}),
        operation("show version", {}),
        operation("port config", {typed("port", ArgumentType::port),
                                  choice("mode", "copy", {"shared", "linear", "auto"})}),
        operation("add peer",
                  {word("name"), word("address"), number("rate", "rate", 1, 400'000, "Mbit/s"),
                   number("queue", "queue", 16, 65'536, "packets")}),
        operation("set idle", {choice("mode", "", {"poll", "sleep"})}),
        operation("set log", {typed("message", ArgumentType::text)}),
        operation("stop", {}),
    });
  }

  std::string failure(std::string_view line) {
    const Reply reply = table_.run(line);
    EXPECT_FALSE(reply.ok()) << line;
    return reply.ok() ? "" : reply.error().message;
  }
  std::string success(std::string_view line) {
    const Reply reply = table_.run(line);
    EXPECT_TRUE(reply.ok()) << line << ": " << (reply.ok() ? "" : reply.error().message);
    return reply.ok() ? reply->dump() : "";
  }
  std::vector<std::string> complete(std::string_view line) {
    return table_.complete(line,
                           [](ArgumentType type, std::string_view) -> std::vector<std::string> {
                             if (type == ArgumentType::port) return {"fabric0", "lan"};
                             return {};
                           });
  }

  Table table_;
};

TEST_F(TableTest, BindsPositionalsAndKeywordsInAnyOrder) {
  EXPECT_EQ(success("show version"), R"({"path":"show version"})");
  EXPECT_EQ(success("  show\tpeers  b "), R"({"path":"show peers","peer":"b"})");
  EXPECT_EQ(success("show peers"), R"({"path":"show peers"})");
  const char* both =
      R"({"path":"add peer","name":"b","address":"10.0.0.2:7000","rate":"10","queue":"64"})";
  EXPECT_EQ(success("add peer b 10.0.0.2:7000 rate 10 queue 64"), both);
  EXPECT_EQ(success("add peer b 10.0.0.2:7000 queue 64 rate 10"), both);
  EXPECT_EQ(success("port config lan copy shared"),
            R"({"path":"port config","port":"lan","mode":"shared"})");
  EXPECT_EQ(success("show port info all"), R"({"path":"show port info","port":"all"})");
}

TEST_F(TableTest, ARequiredPositionalMayBeNamedLikeAKeyword) {
  EXPECT_EQ(success("add peer rate queue rate 7"),
            R"({"path":"add peer","name":"rate","address":"queue","rate":"7"})");
}

TEST_F(TableTest, TextTakesTheRestAndQuotesKeepBlanks) {
  EXPECT_EQ(success("set log a  \"b c\" d  "), R"({"path":"set log","message":"a  \"b c\" d"})");
  EXPECT_EQ(success(R"(show peers "a \"b\" \\c")"),
            R"({"path":"show peers","peer":"a \"b\" \\c"})");
  EXPECT_THAT(failure("show peers \"a"), HasSubstr("word 3: no closing quote"));
}

TEST_F(TableTest, UnknownWordsNameTokenPositionAndNearestWord) {
  EXPECT_EQ(failure("shwo peers"), "unknown word 'shwo' at word 1; did you mean 'show'?");
  EXPECT_EQ(failure("show peeers"),
            "unknown word 'peeers' at word 2 (after 'show'); did you mean 'peers'?");
  EXPECT_EQ(failure("show port stast all"),
            "unknown word 'stast' at word 3 (after 'show port'); did you mean 'stats'?");
  EXPECT_EQ(failure("show xyzzy"),
            "unknown word 'xyzzy' at word 2 (after 'show'); expected one of: peers, port, version");
}

TEST_F(TableTest, IncompleteAndEmptyLinesSayWhatFollows) {
  EXPECT_EQ(failure("show port"),
            "'show port' is incomplete at word 3; expected one of: info, stats");
  EXPECT_EQ(failure("   "), "empty command; 'help' lists commands");
  // Abbreviations are not accepted.
  EXPECT_THAT(failure("sh version"), HasSubstr("unknown word 'sh' at word 1"));
}

TEST_F(TableTest, MissingArgumentsPrintTheUsageLine) {
  EXPECT_EQ(failure("add peer b"),
            "add peer: address is missing\nusage: add peer NAME ADDRESS [rate RATE] [queue QUEUE]");
  EXPECT_EQ(failure("port config lan"),
            "port config: mode is missing\nusage: port config PORT copy shared|linear|auto");
  EXPECT_THAT(failure("add peer b c rate"), HasSubstr("'rate' needs a value (rate)\nusage:"));
}

TEST_F(TableTest, NumbersNameRangeAndUnit) {
  for (const char* bad : {"0", "400001", "-1", "1.5", "0x10", "12a", "99999999999999999999999"}) {
    EXPECT_EQ(failure(std::string("add peer b c rate ") + bad),
              std::string("'") + bad + "' at word 6: rate must be 1..400000 Mbit/s");
  }
  success("add peer b c rate 1");
  success("add peer b c rate 400000");
}

TEST_F(TableTest, WrongChoicesExtraWordsAndAllAreRefused) {
  EXPECT_EQ(failure("set idle pol"),
            "'pol' at word 3: mode must be one of poll|sleep; did you mean 'poll'?");
  EXPECT_THAT(failure("set idle poll now"), HasSubstr("unexpected 'now' at word 4"));
  EXPECT_THAT(failure("stop now"), HasSubstr("unexpected 'now' at word 2\nusage: stop"));
  EXPECT_THAT(failure("add peer b c rat 5"),
              HasSubstr("unexpected 'rat' at word 5; did you mean 'rate'?"));
  EXPECT_THAT(failure("add peer b c rate 5 rate 6"), HasSubstr("unexpected 'rate' at word 7"));
  EXPECT_THAT(failure("port config all copy auto"), HasSubstr("'all' at word 3"));
}

TEST_F(TableTest, CompletionFollowsTheGrammar) {
  EXPECT_THAT(complete(""), ElementsAre("add", "help", "port", "set", "show", "stop"));
  EXPECT_THAT(complete("s"), ElementsAre("set", "show", "stop"));
  EXPECT_THAT(complete("show"), ElementsAre("show"));
  EXPECT_THAT(complete("show p"), ElementsAre("peers", "port"));
  EXPECT_THAT(complete("show port info "), ElementsAre("all", "fabric0", "lan"));
  EXPECT_THAT(complete("show port info f"), ElementsAre("fabric0"));
  EXPECT_THAT(complete("port config "), ElementsAre("fabric0", "lan"));
  EXPECT_THAT(complete("port config lan "), ElementsAre("copy"));
  EXPECT_THAT(complete("port config lan copy "), ElementsAre("auto", "linear", "shared"));
  EXPECT_THAT(complete("add peer b c "), ElementsAre("queue", "rate"));
  EXPECT_THAT(complete("add peer b c rate 5 "), ElementsAre("queue"));
  EXPECT_THAT(complete("add peer b c rate "), IsEmpty());
  EXPECT_THAT(complete("show nothing "), IsEmpty());
  EXPECT_THAT(complete("set idle nonsense "), IsEmpty());
  // A command within a command.
  EXPECT_THAT(complete("help port con"), ElementsAre("config"));
  EXPECT_THAT(complete("help dis"), ElementsAre("display"));
}

// Whatever completes one word at a time must parse: completion and matching share the binder.
TEST_F(TableTest, EveryCompletedLineOfKnownWordsMatches) {
  std::vector<std::string> open = {""};
  size_t matched = 0;
  for (int depth = 0; depth < 6 && !open.empty(); ++depth) {
    std::vector<std::string> next;
    for (const std::string& line : open) {
      if (line == "help ") continue;  // what follows is any command again
      for (const std::string& candidate : complete(line)) next.push_back(line + candidate + " ");
    }
    for (const std::string& line : next) matched += table_.match(line).ok();
    open = std::move(next);
  }
  // help, show peers, port info and stats x3, version, config 2x3, set idle x2, stop.
  EXPECT_EQ(matched, 1u + 1 + 6 + 1 + 6 + 2 + 1);
}

TEST_F(TableTest, HelpListsSectionsCommandsAndRefusesOthers) {
  EXPECT_THAT(success("help"), HasSubstr(R"({"section":"display","commands":4})"));
  EXPECT_THAT(success("help display"), HasSubstr("show port info PORT|all"));
  EXPECT_THAT(success("help add peer"), HasSubstr("[rate RATE]"));
  EXPECT_THAT(failure("help dsplay"), HasSubstr("did you mean 'display'?"));
}

TEST_F(TableTest, ReferenceAndDescriptionHoldEveryOperation) {
  const std::string reference = table_.reference_markdown();
  const Json description = table_.describe();
  ASSERT_EQ(description.size(), table_.operations().size());
  for (size_t i = 0; i < description.size(); ++i) {
    const Operation& known = table_.operations()[i];
    EXPECT_EQ(description[i]["path"], known.path);
    EXPECT_EQ(description[i]["arguments"].size(), known.arguments.size());
    EXPECT_THAT(reference, HasSubstr("### `" + usage(known) + "`"));
  }
  EXPECT_THAT(reference, HasSubstr("| `rate` | number | 1..400000 Mbit/s |"));
}

TEST_F(TableTest, SchemasAreThoseThatOperationsDeclare) {
  Operation declared = operation("show numbers", {});
  declared.schema = schema::rows(
      "numbers",
      schema::object({{"n", schema::count()}, {"of", schema::nullable(schema::text()), false}}));
  table_.add(std::move(declared));
  add_schema(table_);
  const Json document = Json::parse(success("show schema show numbers"));
  EXPECT_EQ(document["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(document["title"], "show numbers");
  const Json& row = document["properties"]["numbers"]["items"];
  EXPECT_EQ(row["required"], Json::array({"n"}));
  EXPECT_EQ(row["additionalProperties"], false);
  EXPECT_EQ(row["properties"]["of"]["anyOf"].size(), 2u);
  EXPECT_THAT(failure("show schema show number"), HasSubstr("did you mean 'show numbers'?"));
  EXPECT_THAT(failure("show schema stop"), HasSubstr("has none"));
  EXPECT_EQ(table_.schemas().size(), 3u) << "numbers, schema itself, error";
}

TEST_F(TableTest, ADuplicatePathIsABrokenInvariant) {
  EXPECT_DEATH(table_.add(operation("stop", {})), "broken invariant");
}

TEST(Arguments, FallBackWhenAbsent) {
  Arguments arguments;
  arguments.set("n", "12");
  EXPECT_EQ(arguments.number("n", 3), 12u);
  EXPECT_EQ(arguments.number("m", 3), 3u);
  EXPECT_EQ(arguments.text("m", "x"), "x");
  EXPECT_FALSE(arguments.has("m"));
}

TEST(Nearest, FindsOneOrTwoEditsAndNothingFarther) {
  EXPECT_EQ(nearest_word("prot", {"port", "peer"}), "port");
  EXPECT_EQ(nearest_word("strems", {"streams", "peers"}), "streams");
  EXPECT_EQ(nearest_word("zzz", {"streams", "peers"}), "");
  EXPECT_EQ(nearest_word("a", {"b"}), "");
  EXPECT_EQ(nearest_word(std::string(100, 'a'), {"a"}), "");
}

}  // namespace
}  // namespace chaincast::ops
