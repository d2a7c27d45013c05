// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "ops/ops.hpp"

namespace chaincast::cli {

// A reply as a person reads it. Pure; any thread; linear in the reply's size.
//   object            aligned "key: value" lines; nested objects indented below their key
//   array of objects  an aligned table, numbers to the right; a table that is too wide, or with
//                     tables inside, becomes one block of lines per row
//   array of scalars  joined by ", "
//   null or empty     "-" in tables, "none" elsewhere
// A key's underscores become blanks and its unit stands in brackets: queue_bytes_max is
// "queue max (bytes)". Booleans are yes and no. Control characters in strings are shown as \xNN,
// since some strings come from other nodes. Ends in a newline unless empty.
//
// `columns` is the width of the terminal: tables wider than that have their widest text wrapped
// where at least 16 columns are left to it, and long values continue below themselves. 0 (a pipe,
// a file): nothing is wrapped, and a table is too wide beyond 160 columns.
std::string to_text(const ops::Json& reply, size_t columns = 0);

// "rtt_us" -> "rtt (us)": a key as a heading.
std::string heading(const std::string& key);

}  // namespace chaincast::cli
