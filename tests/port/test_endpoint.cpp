// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "port/headers.hpp"
#include "port/port.hpp"

namespace chaincast::port {
namespace {

TEST(Endpoint, ReadsAndWritesBothFamilies) {
  Result<Endpoint> v4 = parse_endpoint("192.0.2.1:7000");
  ASSERT_TRUE(v4.ok());
  EXPECT_FALSE(v4->is_ipv6);
  EXPECT_EQ(v4->port, 7000);
  EXPECT_EQ(v4->address, (std::array<uint8_t, 16>{192, 0, 2, 1}));
  EXPECT_EQ(to_text(*v4), "192.0.2.1:7000");

  Result<Endpoint> v6 = parse_endpoint("[2001:db8:0:0::1]:65535");
  ASSERT_TRUE(v6.ok());
  EXPECT_TRUE(v6->is_ipv6);
  EXPECT_EQ(to_text(*v6), "[2001:db8::1]:65535");
  EXPECT_EQ(address_text(*v6), "2001:db8::1");
}

TEST(Endpoint, RefusesWhatIsNeither) {
  for (const char* text : {"",
                           ":",
                           ":7000",
                           "192.0.2.1",
                           "192.0.2.1:",
                           "192.0.2.1:65536",
                           "192.0.2.1:-1",
                           "192.0.2.1:70 ",
                           "192.0.2:7000",
                           "192.0.2.1.5:7000",
                           "2001:db8::1:7000",
                           "[::1]",
                           "[::1]:",
                           "[::1:7000",
                           "[]:7000",
                           "[192.0.2.1]:7000",
                           "[fe80::1%eth0]:7000",
                           "host:7000",
                           "192.0.2.1:+7",
                           "[::1]7000",
                           "[",
                           "]:1",
                           "[:1"}) {
    Result<Endpoint> parsed = parse_endpoint(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_THAT(parsed.error().message, testing::HasSubstr(text));
  }
}

TEST(Endpoint, ReadsAddresses) {
  EXPECT_EQ(address_text(*parse_address("2001:DB8::0:1")), "2001:db8::1");
  EXPECT_EQ(address_text(*parse_address("198.51.100.7")), "198.51.100.7");
  EXPECT_FALSE(parse_address("198.51.100.7/24").ok());
  EXPECT_FALSE(parse_address("").ok());
}

TEST(Mac, ReadsAndWrites) {
  EXPECT_EQ(mac_text(*parse_mac("02:00:5E:10:00:fF")), "02:00:5e:10:00:ff");
  for (const char* text : {"", "02:00:5e:10:00", "02-00-5e-10-00-01", "02:00:5e:10:00:0g",
                           "02:00:5e:10:00:011", ":2:00:5e:10:00:01"}) {
    EXPECT_FALSE(parse_mac(text).ok()) << text;
  }
}

}  // namespace
}  // namespace chaincast::port
