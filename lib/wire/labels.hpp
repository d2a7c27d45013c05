// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <string_view>

// Every label of the system, in one table (docs/wire.md, "Labels"). A label is the ASCII text
// without a terminating zero. Signatures cover `label, byte 0, network id, body`; HKDF info starts
// with its label. No label is a prefix of another, so two uses of one key never see the same input.
// Values, no owner, any thread.
namespace chaincast::wire {

// Signed.
inline constexpr std::string_view label_descriptor = "chaincast1 descriptor";
inline constexpr std::string_view label_statement = "chaincast1 statement";
inline constexpr std::string_view label_node = "chaincast1 node";
inline constexpr std::string_view label_suspicion = "chaincast1 suspicion";

// HKDF-Expand info (RFC 5869), unless noted.
inline constexpr std::string_view label_authenticate = "chaincast1 A";  // configured secret -> A
inline constexpr std::string_view label_encrypt = "chaincast1 C";       // configured secret -> C
inline constexpr std::string_view label_mac = "chaincast1 mac";         // A -> Kmac
inline constexpr std::string_view label_enc = "chaincast1 enc";         // C -> Kenc
inline constexpr std::string_view label_hello = "chaincast1 hello";     // link secret -> hello key
inline constexpr std::string_view label_link = "chaincast1 link";       // session -> K_link
inline constexpr std::string_view label_control = "chaincast1 ctl";     // session -> K_ctl
inline constexpr std::string_view salt_hello = "chaincast1";            // HKDF-Extract salt

inline constexpr std::array<std::string_view, 11> labels = {
    label_descriptor,   label_statement, label_node,   label_suspicion,
    label_authenticate, label_encrypt,   label_mac,    label_enc,
    label_hello,        label_link,      label_control};

}  // namespace chaincast::wire
