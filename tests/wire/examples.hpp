// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

// One worked example of each format, written by hand from docs/wire.md and printed there in the
// block of the same name. Spaces and line ends are for the eye.
namespace chaincast::wire::example {

struct Example {
  std::string_view name;
  std::string_view hex;
};

// Two frames: a whole 5-byte data object at seq 7, and an empty last frame of kind
// route at seq 8 of another stream.
inline constexpr Example data_datagram = {
    "data-datagram",
    "01 00 02 03  0a1b2c05  00000009  c0ffee11 "
    "0005 c0 01  00000002  1122334455667788  0000000000000007 "
    "000102030405060708090a0b0c0d0e0f  101112131415161718191a1b1c1d1e1f "
    "68656c6c6f "
    "0000 41 05  00000000  99aabbccddeeff00  0000000000000008 "
    "202122232425262728292a2b2c2d2e2f  303132333435363738393a3b3c3d3e3f"};

// Three objects, "a", nothing, "bcd", in one packed payload.
inline constexpr Example packed_payload = {"packed-payload", "0001 61  0000  0003 626364"};

inline constexpr Example hello_datagram = {
    "hello-datagram",
    "01 01 00 00  00000000  00000000  00000000 "
    "02 00 01 01 "
    "000102030405060708090a0b0c0d0e0f "
    "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f "
    "303132333435363738393a3b3c3d3e3f "
    "404142434445464748494a4b4c4d4e4f "
    "0000003e  05dc  01 00  0002  0003  0002 "
    "0a1b2000 0a1b2001 "
    "505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f"};

// Hop header, counter, two bytes of ciphertext and the tag of a sealed message.
inline constexpr Example sealed_datagram = {
    "sealed-datagram",
    "01 00 00 00  0a1b2000  00000005  deadbeef  0000000100000005  7788 "
    "000000010000000200000004000000f8"};

inline constexpr Example keepalive = {"keepalive", "01 0000000000abcdef"};
inline constexpr Example keepalive_reply = {"keepalive-reply", "02 0000000000abcdef"};
inline constexpr Example descriptor_message = {"descriptor-message", "03 0003 010203"};
inline constexpr Example refuse_stream = {"refuse-stream", "04 1122334455667788 02 05dc"};
inline constexpr Example report = {"report",
                                   "05 00000000000003e8 0000000000000005 00000000000f4240"};
inline constexpr Example nack = {"nack",
                                 "06 1122334455667788 0000000000000100 8000000000000001 00"};
inline constexpr Example nack_by_digest = {
    "nack-by-digest", "06 1122334455667788 0000000000000100 0000000000000001 01 a0a1a2a3a4a5a6a7"};
inline constexpr Example pending = {"pending",
                                    "07 1122334455667788 0000000000000100 0000000000000003 01"};
inline constexpr Example tip = {
    "tip", "08 1122334455667788 00 00000000000003ff a0a1a2a3a4a5a6a7 0000000000000010 0002 0102"};
inline constexpr Example tip_of_empty = {"tip-of-empty",
                                         "08 1122334455667788 01 0000000000000000 0000"};
inline constexpr Example tip_request = {"tip-request", "09 1122334455667788"};
inline constexpr Example mtu_probe = {"mtu-probe", "0a 00000007 05dc"};
inline constexpr Example mtu_reply = {"mtu-reply", "0b 00000007 05dc"};
inline constexpr Example close = {"close", "0c 01"};
inline constexpr Example votes = {
    "votes",
    "0d 1122334455667788 0000000000000100 02 "
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f "
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"};

inline constexpr Example descriptor = {
    "descriptor",
    "01 "
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f "
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f "
    "404142434445464748494a4b4c4d4e4f "
    "02 04  0578  00200000  00002710  0d  0100  0000000a "
    "02 01 02  01  33  67748580 "
    "05 6665656473 "
    "505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f"
    "707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f"};

inline constexpr Example statement = {
    "statement",
    "01 01 "
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f "
    "0000000000000003 "
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f "
    "0000000000000300  00000000000003fe "
    "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f "
    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"};

// An announcement of 10.0.0.0/8 and 192.0.2.128/25 with every field, then a withdrawal of
// 2001:db8::/33 and ::/0.
inline constexpr Example route_update = {"route-update",
                                         "01 00003d "
                                         "01 000008  04  08 0a  19 c0000280 "
                                         "02 000004  c0000201 "
                                         "03 000004  00000064 "
                                         "04 000008  00010001 00010002 "
                                         "05 00000c  0000fde8 45ce7c3c c6336401 "
                                         "06 000001  ff "
                                         "02 00000c "
                                         "01 000008  06  21 20010db880  00"};

}  // namespace chaincast::wire::example
