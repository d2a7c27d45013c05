// SPDX-License-Identifier: BSD-3-Clause
#include "rest/streaming.hpp"

#include <gtest/gtest.h>

namespace chaincast::rest {
namespace {

using ops::Json;
using Action = Call::Action;

constexpr Endpoint tracker(uint16_t port) {
  return {{192, 0, 2, 1}, port, false};
}

// Remembers the call, and answers with what it is told to.
class FakeInstances final : public Instances {
 public:
  Outcome host_super() override { return note({Action::host_super, {}, 0, "", ""}); }
  Outcome host(const std::vector<Endpoint>& trackers, uint64_t size_max) override {
    return note({Action::host, trackers, size_max, "", ""});
  }
  Outcome join(const std::vector<Endpoint>& trackers, const std::string& resource) override {
    return note({Action::join, trackers, 0, resource, ""});
  }
  Outcome stop(const std::string& instance) override {
    return note({Action::stop, {}, 0, "", instance});
  }
  Json describe() const override { return {{"pid", 1}}; }

  std::vector<Call> calls;
  Outcome outcome{true, "i", 1, 2, "r", 3};

 private:
  Outcome note(Call call) {
    calls.push_back(std::move(call));
    return outcome;
  }
};

class RestStreaming : public testing::Test {
 protected:
  Response ask(const std::string& method, const std::string& path, const std::string& body = "",
               const std::string& authorization = "") {
    return Streaming(instances, token).handle({method, path, {}, "", authorization, body});
  }
  Response post(const std::string& path, const std::string& body) {
    return ask("POST", path, body);
  }

  FakeInstances instances;
  std::string token;
};

TEST_F(RestStreaming, PingIsAnsweredWhateverTheMethod) {
  token = "0123456789abcdef";
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    const Response pong = ask(method, "/ping", "whatever");
    EXPECT_EQ(pong.status, 200);
    EXPECT_TRUE(pong.body.empty() && pong.content_type.empty());
  }
}

TEST_F(RestStreaming, GoodCallsReachTheirAction) {
  post("/host-super", "");
  post("/host-super", " {} ");
  post("/host", R"({"Trackers": ["192.0.2.1:7", "192.0.2.1:8"], "MaxResourceSize": 1316})");
  post("/host", R"({"MaxResourceSize": 18446744073709551615, "Trackers": []})");
  post("/join", R"({"Trackers": ["192.0.2.1:7"], "ResourceID": "any name"})");
  post("/stop", R"("i")");
  const std::vector<Call> wanted = {
      {Action::host_super, {}, 0, "", ""},
      {Action::host_super, {}, 0, "", ""},
      {Action::host, {tracker(7), tracker(8)}, 1316, "", ""},
      {Action::host, {}, ~uint64_t{0}, "", ""},
      {Action::join, {tracker(7)}, 0, "any name", ""},
      {Action::stop, {}, 0, "", "i"},
  };
  EXPECT_EQ(instances.calls, wanted);
}

TEST_F(RestStreaming, TheSixKeysAreThereInAnyCase) {
  EXPECT_EQ(post("/host-super", "").body,
            R"({"Success":true,"InstanceID":"i","TCPServerPort":1,"UDPServerPort":2,)"
            R"("ResourceID":"r","MaxResourceSize":3})");
  instances.outcome.is_success = false;
  const Response failed = post("/stop", R"("i")");
  EXPECT_EQ(failed.status, 200);
  EXPECT_EQ(failed.body, R"({"Success":false,"InstanceID":"","TCPServerPort":0,)"
                         R"("UDPServerPort":0,"ResourceID":"","MaxResourceSize":0})");
}

// What each key may be is held against everything that JSON has.
TEST_F(RestStreaming, EveryOtherBodyIsRefused) {
  const std::string tracker = R"(["192.0.2.1:7"])";
  const std::vector<std::string> values = {"null",
                                           "true",
                                           "1",
                                           "-1",
                                           "1.0",
                                           "1e3",
                                           "0",
                                           R"("")",
                                           R"("1")",
                                           "[]",
                                           "[1]",
                                           "{}",
                                           "[[]]",
                                           "[{}]",
                                           R"([""])",
                                           R"(["192.0.2.1"])",
                                           R"(["192.0.2.1:0"])",
                                           R"(["192.0.2.1:65536"])",
                                           R"(["localhost:7"])",
                                           R"(["192.0.2.1:7", 7])",
                                           R"("192.0.2.1:7")"};
  const auto is_refused = [&](const std::string& path, const std::string& body) {
    const Response refused = post(path, body);
    EXPECT_EQ(refused.status, 400) << path << " " << body;
    EXPECT_TRUE(refused.body.empty() && refused.content_type.empty());
  };
  for (const std::string& value : values) {
    if (value != "[]") {
      is_refused("/host", R"({"MaxResourceSize": 1, "Trackers": )" + value + "}");
      is_refused("/join", R"({"ResourceID": "r", "Trackers": )" + value + "}");
    }
    if (value != "1") {
      is_refused("/host", R"({"Trackers": )" + tracker + R"(, "MaxResourceSize": )" + value + "}");
    }
    if (value[0] != '"' || value == R"("")") {
      is_refused("/join", R"({"Trackers": )" + tracker + R"(, "ResourceID": )" + value + "}");
      is_refused("/stop", value);
    }
    if (value != "{}") is_refused("/host-super", value);
    is_refused("/host", value);
    is_refused("/join", value);
  }
  for (const std::string body :
       {"", "{", "\xff", R"("i" 1)", R"({"Trackers": [], "MaxResourceSize": 1} x)"}) {
    for (const std::string path : {"/host", "/join", "/stop"}) is_refused(path, body);
  }
  EXPECT_TRUE(instances.calls.empty());
}

TEST_F(RestStreaming, KeysAreThoseOfThePathEachOnce) {
  const std::string trackers = R"("Trackers": [])", size = R"("MaxResourceSize": 1)",
                    resource = R"("ResourceID": "r")";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"/host", trackers},
      {"/host", size},
      {"/host", trackers + "," + resource},
      {"/host", trackers + "," + size + "," + resource},
      {"/host", trackers + "," + size + R"(, "trackers": [])"},
      {"/host", trackers + "," + size + "," + size},
      {"/host", size + "," + size + "," + trackers},
      {"/host", trackers + "," + size + R"(, "": 1)"},
      {"/join", trackers},
      {"/join", resource},
      {"/join", trackers + "," + size},
      {"/join", trackers + "," + resource + "," + size},
      {"/join", trackers + "," + resource + "," + trackers},
      {"/host-super", trackers},
      {"/stop", R"("InstanceID": "i")"},
  };
  for (const auto& [path, keys] : bad) EXPECT_EQ(post(path, "{" + keys + "}").status, 400) << keys;
  EXPECT_TRUE(instances.calls.empty());
}

TEST_F(RestStreaming, BodiesAreBounded) {
  std::string trackers = R"("192.0.2.1:1")";
  for (size_t i = 1; i < trackers_max; ++i) trackers += R"(,"192.0.2.1:1")";
  const auto host = [](const std::string& list) {
    return R"({"MaxResourceSize": 1, "Trackers": [)" + list + "]}";
  };
  EXPECT_EQ(post("/host", host(trackers)).status, 200);
  EXPECT_EQ(post("/host", host(trackers + R"(,"192.0.2.1:1")")).status, 400);
  const auto stop = [](size_t bytes) { return "\"" + std::string(bytes, 'i') + "\""; };
  EXPECT_EQ(post("/stop", stop(resource_bytes_max)).status, 200);
  EXPECT_EQ(post("/stop", stop(resource_bytes_max + 1)).status, 400);
  EXPECT_EQ(post("/stop", R"("i)" + std::string(1, '\0') + "\"").status, 400);
  EXPECT_EQ(post("/stop", R"("\u0000")").status, 400);
  const std::string padding(streaming_body_bytes_max - stop(1).size(), ' ');
  EXPECT_EQ(post("/stop", padding + stop(1)).status, 200);
  EXPECT_EQ(post("/stop", padding + " " + stop(1)).status, 400);
  EXPECT_EQ(post("/host", std::string(streaming_body_bytes_max, '[')).status, 400);
}

TEST_F(RestStreaming, OtherMethodsAndPathsAreRefused) {
  for (const char* path : {"/host-super", "/host", "/join", "/stop"}) {
    for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}) {
      const Response refused = ask(method, path, R"("i")");
      EXPECT_EQ(refused.status, 400) << method << path;
      EXPECT_TRUE(refused.body.empty());
    }
  }
  EXPECT_EQ(post("/hosts", "").status, 404);
  EXPECT_EQ(post("/stop/", R"("i")").status, 404);
  EXPECT_EQ(ask("GET", "/v1/instances").body, R"({"pid":1})");
  EXPECT_EQ(post("/v1/instances", "").status, 404);
  EXPECT_TRUE(instances.calls.empty());
}

TEST_F(RestStreaming, CallsNeedTheTokenAndNoPageOfABrowser) {
  token = "0123456789abcdef";
  for (const char* shown : {"", "0123456789abcdef", "Bearer 0123456789abcde"}) {
    const Response refused = ask("POST", "/stop", R"("i")", shown);
    EXPECT_EQ(refused.status, 401);
    EXPECT_TRUE(refused.body.empty());
  }
  EXPECT_EQ(ask("POST", "/stop", R"("i")", "Bearer 0123456789abcdef").status, 200);
  token.clear();
  const Response page =
      Streaming(instances, "")
          .handle({"POST", "/stop", {}, "text/plain", "", R"("i")", "https://evil.example"});
  EXPECT_EQ(page.status, 403);
  EXPECT_EQ(instances.calls.size(), 1u);
}

TEST(RestResourceId, HasTheSizeInIt) {
  const std::string id = make_resource_id({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 65'507);
  EXPECT_EQ(id, "000102030405060708090a0b0000ffe3");
  EXPECT_EQ(size_of(id), 65'507u);
  for (const std::string& other :
       {std::string("news"), id.substr(1), id + "0", "x" + id.substr(1),
        std::string("000102030405060708090A0B0000ffe3"), std::string(32, '0')}) {
    EXPECT_FALSE(size_of(other).has_value()) << other;
  }
}

}  // namespace
}  // namespace chaincast::rest
