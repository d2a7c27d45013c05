// SPDX-License-Identifier: BSD-3-Clause
#include "rest/api.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/schema.hpp"
#include "rest/line.hpp"
#include "rest/openapi.hpp"

namespace chaincast::rest {
namespace {

using ops::ArgumentType;
using ops::Json;
using testing::HasSubstr;

ops::Reply echo(const ops::Arguments& arguments) {
  Json out = Json::object();
  for (const char* name : {"name", "address", "rate", "count", "text"}) {
    if (arguments.has(name)) out[name] = arguments.text(name);
  }
  return out;
}

ops::Operation operation(std::string path, ops::Access access,
                         std::vector<ops::Argument> arguments) {
  ops::Operation out;
  out.path = std::move(path);
  out.section = "test";
  out.access = access;
  out.arguments = std::move(arguments);
  out.help = "does it";
  out.handler = echo;
  return out;
}

// Runs lines on its own table, and takes objects for one stream.
class FakeNode final : public cli::Service {
 public:
  FakeNode() {
    using ops::argument;
    table.add(operation("show peers", ops::Access::read,
                        {optional(argument("name", ArgumentType::peer, "whom"))}));
    table.add(operation("add peer", ops::Access::write,
                        {argument("name", ArgumentType::word, "its name"),
                         argument("address", ArgumentType::word, "where it is"),
                         optional(keyed(argument("rate", ArgumentType::word, "at most")))}));
    ops::Argument count = argument("count", ArgumentType::number, "how many");
    count.min = 1;
    count.max = 9;
    table.add(operation("set burst", ops::Access::write, {count}));
    table.add(
        operation("note", ops::Access::write, {argument("text", ArgumentType::text, "what")}));
    ops::Operation failing = operation("fail", ops::Access::read, {});
    failing.handler = [this](const ops::Arguments&) { return ops::Reply(error(code, "no luck")); };
    table.add(failing);
    ops::add_help(table);
    ops::add_watch(table);
  }
  ops::Reply run(std::string_view line) override {
    lines.emplace_back(line);
    return table.run(line);
  }
  std::vector<std::string> complete(std::string_view) override { return {}; }
  Json status() override { return {}; }
  Result<cli::StreamInfo> stream(std::string_view name) override {
    if (name == "news") return cli::StreamInfo{};
    return error(ErrorCode::not_found, "stream: not configured");
  }
  cli::PublishResult publish(std::string_view, ByteSpan object) override {
    published.assign(object.begin(), object.end());
    return {state, StreamId{7}, 0, "no"};
  }
  Result<cli::SubscriptionId> subscribe(std::string_view, cli::Subscriber*) override {
    return error(ErrorCode::unsupported, "");
  }
  void unsubscribe(cli::SubscriptionId) override {}

  ops::Table table;
  std::vector<std::string> lines;
  ErrorCode code = ErrorCode::invalid;
  cli::PublishState state = cli::PublishState::accepted;
  Bytes published;
};

class RestApi : public testing::Test {
 protected:
  Response get(const std::string& path, std::map<std::string, std::string> query = {}) {
    return api().handle({"GET", path, std::move(query), "", "", ""});
  }
  Response post(const std::string& path, const std::string& body,
                const std::string& type = "application/json", const std::string& shown = "") {
    return api().handle({"POST", path, {}, type, shown, body});
  }
  static std::string code_of(const Response& response) {
    return Json::parse(response.body)["error"]["code"].get<std::string>();
  }
  static std::string message_of(const Response& response) {
    return Json::parse(response.body)["error"]["message"].get<std::string>();
  }
  Api& api() {
    if (!api_) api_ = std::make_unique<Api>(node.table, node, token);
    return *api_;
  }

  FakeNode node;
  std::string token;

 private:
  std::unique_ptr<Api> api_;
};

TEST_F(RestApi, ReadsAreGetsAndWritesArePosts) {
  EXPECT_EQ(get("/v1/show/peers").status, 200);
  EXPECT_EQ(get("/v1/show/peers", {{"name", "b"}}).body, R"({"name":"b"})");
  EXPECT_EQ(post("/v1/add/peer", R"({"name":"b","address":"10.0.0.1:7000","rate":"1G"})").body,
            R"({"name":"b","address":"10.0.0.1:7000","rate":"1G"})");
  EXPECT_EQ(post("/v1/set/burst", R"({"count":3})").body, R"({"count":"3"})");
}

// The table reads what the line says: whatever stands in a value stays in it.
TEST_F(RestApi, NoValueCanBecomeAnotherArgument) {
  for (const std::string value : {"b rate 1G", "b\" rate \"1G", "\\", "b\\\" rate 1G", "rate"}) {
    const Json body{{"name", value}, {"address", "a"}};
    const Response done = post("/v1/add/peer", body.dump());
    ASSERT_EQ(done.status, 200) << done.body;
    EXPECT_EQ(Json::parse(done.body), body);
  }
  const Response cut = post("/v1/add/peer", R"({"name":"b\nquit","address":"a"})");
  EXPECT_EQ(cut.status, 400);
  EXPECT_THAT(message_of(cut), HasSubstr("name"));
  EXPECT_EQ(post("/v1/note", R"({"text":"all of \"this\"  stays"})").body,
            R"({"text":"all of \"this\"  stays"})");
}

TEST_F(RestApi, BadRequestsSayWhatIsWrong) {
  EXPECT_EQ(get("/v1/show/nothing").status, 404);
  const Response method = post("/v1/show/peers", "{}");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.allow, "GET");
  EXPECT_EQ(get("/v1/add/peer").allow, "POST");
  EXPECT_EQ(post("/v1/add/peer", "{}", "text/plain").status, 415);
  for (const std::string body : {"", "{", "[]", "1", R"({"name":"b"})", R"({"name":[]})",
                                 R"({"name":"b","address":"a","colour":"red"})"}) {
    const Response refused = post("/v1/add/peer", body);
    EXPECT_EQ(refused.status, 400) << body;
    EXPECT_EQ(code_of(refused), "invalid");
  }
  EXPECT_THAT(message_of(post("/v1/set/burst", R"({"count":10})")), HasSubstr("1..9"));
  EXPECT_TRUE(node.lines.size() == 1) << "only what is complete reaches the table";
}

TEST_F(RestApi, EachKindOfFailureHasItsStatus) {
  const std::vector<std::pair<ErrorCode, int>> statuses = {
      {ErrorCode::invalid, 400},     {ErrorCode::not_found, 404}, {ErrorCode::exists, 409},
      {ErrorCode::refused, 422},     {ErrorCode::io, 500},        {ErrorCode::timeout, 504},
      {ErrorCode::unsupported, 501},
  };
  for (const auto& [code, status] : statuses) {
    node.code = code;
    const Response failed = get("/v1/fail");
    EXPECT_EQ(failed.status, status);
    EXPECT_EQ(message_of(failed), "no luck");
  }
}

TEST_F(RestApi, WritesNeedTheTokenWhereThereIsOne) {
  token = "0123456789abcdef";
  const std::string body = R"({"count":3})", type = "application/json";
  EXPECT_EQ(get("/v1/show/peers").status, 200);
  for (const std::string shown :
       {"", "Bearer", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
        "bearer 0123456789abcdef", "0123456789abcdef"}) {
    EXPECT_EQ(post("/v1/set/burst", body, type, shown).status, 401) << shown;
    EXPECT_EQ(post("/v1/streams/news/objects", "x", "application/octet-stream", shown).status, 401);
  }
  EXPECT_TRUE(node.published.empty());
  EXPECT_EQ(post("/v1/set/burst", body, type, "Bearer 0123456789abcdef").status, 200);
}

TEST_F(RestApi, ObjectsArePublishedByteByByte) {
  const std::string object("\0\xff{\n", 4), type = "application/octet-stream";
  const Response done = post("/v1/streams/news/objects", object, type);
  EXPECT_EQ(done.status, 202);
  EXPECT_EQ(done.body, R"({"stream":"0000000000000007","bytes":4})");
  EXPECT_EQ(std::string(node.published.begin(), node.published.end()), object);
  EXPECT_EQ(post("/v1/streams/olds/objects", object, type).status, 404);
  EXPECT_EQ(post("/v1/streams/news/objects", object).status, 415);
  EXPECT_EQ(get("/v1/streams/news/objects").status, 405);
  node.state = cli::PublishState::busy;
  EXPECT_EQ(post("/v1/streams/news/objects", object, type).retry_after_s, 1u);
  node.state = cli::PublishState::failed;
  EXPECT_EQ(post("/v1/streams/news/objects", object, type).status, 422);
}

TEST_F(RestApi, TheDescriptionHasEveryOperationButThoseOnOthers) {
  const Json document = Json::parse(get("/v1/openapi.json").body);
  std::vector<std::string> paths;
  for (const auto& item : document["paths"].items()) paths.push_back(item.key());
  EXPECT_THAT(
      paths, testing::UnorderedElementsAre("/v1/show/peers", "/v1/add/peer", "/v1/set/burst",
                                           "/v1/note", "/v1/fail", "/v1/streams/{stream}/objects"));
  const Json& body = document["paths"]["/v1/add/peer"]["post"]["requestBody"];
  EXPECT_EQ(body["content"]["application/json"]["schema"]["required"],
            Json::array({"name", "address"}));
}

// An optional word is told from the next by its place alone.
TEST(RestLine, APlaceCannotBeLeftOut) {
  const ops::Operation two = operation("do", ops::Access::read,
                                       {optional(ops::argument("name", ArgumentType::word, "")),
                                        optional(ops::argument("text", ArgumentType::word, ""))});
  EXPECT_EQ(*line_of(two, {{"name", "a"}, {"text", "b"}}), "do \"a\" \"b\"");
  EXPECT_FALSE(line_of(two, {{"text", "b"}}).ok());
}

}  // namespace
}  // namespace chaincast::rest
