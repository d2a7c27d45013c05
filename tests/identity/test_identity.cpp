// SPDX-License-Identifier: BSD-3-Clause
#include "identity/identity.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "crypto/openssl/toolbox.hpp"

namespace chaincast::identity {
namespace {

using testing::HasSubstr;
using testing::Not;

class IdentityTest : public testing::Test {
 protected:
  IdentityTest() {
    std::string pattern = testing::TempDir() + "chaincast-identity-XXXXXX";
    CC_ASSERT(mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
  }
  ~IdentityTest() override { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    std::ofstream(path(name)) << text;
    EXPECT_EQ(chmod(path(name).c_str(), mode), 0);
    return path(name);
  }
  static std::string content(const std::string& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string directory_;
  std::unique_ptr<crypto::Toolbox> toolbox_ = crypto::openssl::make_toolbox();
};

const std::string hex64(64, 'a');

TEST_F(IdentityTest, CreatedKeyLoadsAndSigns) {
  ASSERT_TRUE(create_identity(*toolbox_, path("key")).ok());
  struct stat info = {};
  ASSERT_EQ(stat(path("key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_THAT(content(path("key")), testing::MatchesRegex("chaincast-key-1 [0-9a-f]+\n"));
  const auto identity = load_identity(*toolbox_, path("key"));
  ASSERT_TRUE(identity.ok()) << identity.error().message;
  const Bytes message = {1, 2, 3};
  EXPECT_TRUE(
      toolbox_->verify_signature(identity->public_key, message, identity->signer->sign(message)));
  const Digest digest = toolbox_->sha256(identity->public_key);
  EXPECT_EQ(identity->id.hex(), to_hex(digest).substr(0, 32));
}

// RFC 8032, 7.1, test 1.
TEST_F(IdentityTest, PublishedSeedGivesThePublishedKey) {
  const auto identity = load_identity(
      *toolbox_, write("key",
                       "chaincast-key-1 "
                       "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(to_hex(identity->public_key),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

TEST_F(IdentityTest, NothingIsEverOverwritten) {
  write("old", "precious");
  for (const Status& status :
       {create_identity(*toolbox_, path("old")), create_secret(*toolbox_, path("old"))}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::exists);
    EXPECT_THAT(status.error().message, HasSubstr(path("old")));
  }
  ASSERT_EQ(symlink(path("elsewhere").c_str(), path("link").c_str()), 0);
  EXPECT_FALSE(create_secret(*toolbox_, path("link")).ok()) << "follows no dangling link";
  EXPECT_EQ(content(path("old")), "precious");
  EXPECT_FALSE(std::filesystem::exists(path("elsewhere")));
}

TEST_F(IdentityTest, TwoSecretsDiffer) {
  ASSERT_TRUE(create_secret(*toolbox_, path("a")).ok());
  ASSERT_TRUE(create_secret(*toolbox_, path("b")).ok());
  EXPECT_NE(load_secret(path("a"))->secret, load_secret(path("b"))->secret);
}

TEST_F(IdentityTest, RelaySecretHoldsAOnly) {
  ASSERT_TRUE(create_secret(*toolbox_, path("full")).ok());
  ASSERT_TRUE(export_relay_secret(*toolbox_, path("full"), path("relay")).ok());
  const auto full = load_secret(path("full"));
  const auto relay = load_secret(path("relay"));
  ASSERT_TRUE(full.ok() && relay.ok());
  EXPECT_EQ(full->kind, SecretFile::Kind::full);
  EXPECT_EQ(relay->kind, SecretFile::Kind::relay);
  const auto all = stream_secrets(*toolbox_, *full);
  const auto some = stream_secrets(*toolbox_, *relay);
  EXPECT_EQ(some.authenticate, all.authenticate);
  EXPECT_TRUE(all.has_encrypt);
  EXPECT_FALSE(some.has_encrypt);
  EXPECT_EQ(some.encrypt, Secret{});
  EXPECT_NE(all.encrypt, Secret{});
  EXPECT_THAT(content(path("relay")), Not(HasSubstr(to_hex(full->secret))));
  ASSERT_TRUE(export_relay_secret(*toolbox_, path("relay"), path("again")).ok());
  EXPECT_EQ(content(path("again")), content(path("relay")));
}

TEST_F(IdentityTest, FilesOpenToOthersAreRefusedWithTheRemedy) {
  for (const mode_t mode : {0640u, 0604u, 0620u, 0602u, 0610u, 0601u, 0644u, 0666u}) {
    const std::string file = write("open", "chaincast-secret-1 full " + hex64, mode);
    const auto secret = load_secret(file);
    ASSERT_FALSE(secret.ok()) << mode;
    EXPECT_EQ(secret.error().code, ErrorCode::refused);
    EXPECT_THAT(secret.error().message, HasSubstr("chmod 600 " + file));
  }
  for (const mode_t mode : {0400u, 0600u, 0700u}) {
    EXPECT_TRUE(load_secret(write("closed", "chaincast-secret-1 full " + hex64, mode)).ok());
    chmod(path("closed").c_str(), 0600);
  }
}

TEST_F(IdentityTest, OnlyRegularFilesAreRead) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  ASSERT_EQ(mkdir(path("directory").c_str(), 0700), 0);
  for (const char* name : {"fifo", "directory"}) {
    const auto secret = load_secret(path(name));
    ASSERT_FALSE(secret.ok());
    EXPECT_EQ(secret.error().code, ErrorCode::refused);
    EXPECT_THAT(secret.error().message, HasSubstr("not a regular file"));
  }
}

TEST_F(IdentityTest, MissingFileNamesPathAndRemedy) {
  const auto identity = load_identity(*toolbox_, path("none"));
  ASSERT_FALSE(identity.ok());
  EXPECT_EQ(identity.error().code, ErrorCode::not_found);
  EXPECT_THAT(identity.error().message, HasSubstr(path("none")));
  EXPECT_THAT(identity.error().message, HasSubstr("chaincast keygen"));
  const Status created = create_identity(*toolbox_, path("no/such/directory/key"));
  ASSERT_FALSE(created.ok());
  EXPECT_EQ(created.error().code, ErrorCode::not_found);
}

TEST_F(IdentityTest, MalformedSecretsAreRefusedAndNotQuoted) {
  const std::string good = "chaincast-secret-1 full " + hex64;
  const std::string cases[] = {
      "",
      "\n",
      "chaincast-secret-1 full ",
      "chaincast-secret-1 full " + hex64.substr(1),
      "chaincast-secret-1 full " + hex64 + "a",
      "chaincast-secret-1 full " + hex64 + "aa",
      "chaincast-secret-1 full " + hex64.substr(1) + "g",
      "chaincast-secret-1 full  " + hex64,
      "chaincast-secret-1 half " + hex64,
      "chaincast-secret-2 full " + hex64,
      "chaincast-key-1 " + hex64,
      " " + good,
      good + " ",
      good + "\r\n",
      good + "\n\n",
      good + "\n" + good,
      hex64,
      std::string(10'000, 'a'),
      std::string("chaincast-secret-1 full \0", 25) + hex64,
  };
  for (const std::string& text : cases) {
    const auto secret = load_secret(write("bad", text));
    ASSERT_FALSE(secret.ok()) << text;
    EXPECT_EQ(secret.error().code, ErrorCode::invalid);
    EXPECT_THAT(secret.error().message, HasSubstr(path("bad")));
    EXPECT_THAT(secret.error().message, Not(HasSubstr("aaaa")));
  }
  EXPECT_TRUE(load_secret(write("bad", good)).ok());
  EXPECT_TRUE(load_secret(write("bad", good + "\n")).ok());
}

TEST_F(IdentityTest, ASecretIsNoKeyAndTheMessageSaysSo) {
  const auto identity =
      load_identity(*toolbox_, write("mixed-up", "chaincast-secret-1 full " + hex64));
  ASSERT_FALSE(identity.ok());
  EXPECT_THAT(identity.error().message, HasSubstr("not a key file but a secret file"));
}

TEST_F(IdentityTest, TokensAreOneVisibleWord) {
  ASSERT_TRUE(create_token(*toolbox_, path("token")).ok());
  const auto made = load_token(path("token"));
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(*made + "\n", content(path("token")));
  EXPECT_THAT(*made, testing::MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(*load_token(write("own", "0123456789abcdef")), "0123456789abcdef");
  for (const std::string bad : {"", "short", "0123456789 abcdef", "0123456789\tabcdef"}) {
    const auto refused = load_token(write("bad", bad));
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_THAT(refused.error().message, HasSubstr("keygen token"));
  }
  EXPECT_FALSE(load_token(write("open", "0123456789abcdef", 0640)).ok());
}

}  // namespace
}  // namespace chaincast::identity
