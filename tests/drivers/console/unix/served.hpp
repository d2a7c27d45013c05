// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "drivers/console/unix/fake_service.hpp"

// A server with a fake node behind it, and programs that talk to it as processes of their own.
namespace chaincast::console {

class ServedTest : public testing::Test {
 protected:
  ServedTest() {
    std::string pattern = testing::TempDir() + "chaincast_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    options_.path = file("node.sock");
  }
  ~ServedTest() override {
    loop_.reset();
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  void start() {
    auto server = Server::listen(options_, service_);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(*server);
    loop_ = std::make_unique<ControlLoop>(*server_, service_);
  }
  std::string file(const std::string& name) const { return directory_ + "/" + name; }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }

  std::string directory_;
  ServerOptions options_;
  FakeService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<ControlLoop> loop_;
};

class ProgramTest : public ServedTest {
 protected:
  ProgramTest() { ::setenv("CHAINCAST_SOCKET", options_.path.c_str(), 1); }
  ~ProgramTest() override { ::unsetenv("CHAINCAST_SOCKET"); }

  struct Run {
    int code = -1;
    std::string out;
    std::string err;
    ops::Json json() const { return ops::Json::parse(out, nullptr, false); }
  };
  // Under a shell; runs at the same time need different names.
  Run run(const std::string& command_line, const std::string& name = "run") const {
    const std::string out = file(name + ".out");
    const std::string err = file(name + ".err");
    const int status =
        std::system(("timeout 300 " + command_line + " >" + out + " 2>" + err).c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
  }
};

}  // namespace chaincast::console
