// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "node/config.hpp"
#include "ops/ops.hpp"

// Sections of the configuration as arguments of commands, so that both have the same keys, ranges,
// choices and help. Section is PortConfig, PeerConfig or StreamConfig. Any thread.
namespace chaincast::node {

// The keys named in `positional` come first, in this order; every other one is `key value`. A list
// is one word with commas; `[[port]] link` only a file has.
template <typename Section>
std::vector<ops::Argument> section_arguments(std::initializer_list<std::string_view> positional);

// The section that arguments of these names describe. Relative file names start at the process's
// directory and become absolute.
template <typename Section>
Result<Section> read_section(const ops::Arguments& arguments);

// The section as one more of a running configuration: its defaults that follow from other values
// are set, and its relations hold. Every problem is a line of one `invalid` error.
template <typename Section>
Result<Section> admit(Section section, const Config& running);

}  // namespace chaincast::node
