// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/files.hpp"

namespace chaincast::cli {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class FilesTest : public testing::Test {
 protected:
  FilesTest() : root_(testing::TempDir() + "chaincast_files_" + std::to_string(getpid()) + "/") {
    fs::create_directories(root_ + "sub");
    for (const char* name : {"node.toml", "node.cmd", ".hidden"}) std::ofstream(root_ + name);
  }
  ~FilesTest() override { fs::remove_all(root_); }

  std::string root_;
};

TEST_F(FilesTest, BeginWithThePrefixAndKeepItsDirectory) {
  EXPECT_THAT(files_with(root_),
              UnorderedElementsAre(root_ + "node.toml", root_ + "node.cmd", root_ + "sub/"));
  EXPECT_THAT(files_with(root_ + "node.t"), UnorderedElementsAre(root_ + "node.toml"));
  EXPECT_THAT(files_with(root_ + "."), UnorderedElementsAre(root_ + ".hidden"));
  EXPECT_THAT(files_with(root_ + "absent/"), IsEmpty());
  EXPECT_THAT(files_with(root_ + "sub/"), IsEmpty());
}

TEST_F(FilesTest, AreBounded) {
  for (size_t i = 0; i < files_listed_max + 10; ++i) {
    std::ofstream(root_ + "sub/" + std::to_string(i));
  }
  EXPECT_EQ(files_with(root_ + "sub/").size(), files_listed_max);
}

}  // namespace
}  // namespace chaincast::cli
