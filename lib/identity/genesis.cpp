// SPDX-License-Identifier: BSD-3-Clause
#include "identity/genesis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>

#include "identity/line_file.hpp"

namespace chaincast::identity {
namespace {

constexpr std::string_view first_line = "chaincast-genesis-1";

Error bad(size_t line, std::string_view what) {
  return error(ErrorCode::invalid,
               fmt::format("genesis: line {}: {}; docs/membership.md has the format", line, what));
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
}

// One line at a time into a genesis.
class Parser {
 public:
  Status take(std::string_view line, size_t number) {
    number_ = number;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return bad(number, "a word and a value are expected");
    const std::string_view word = line.substr(0, space);
    const std::string_view value = line.substr(space + 1);
    if (word == "founder") return key(value, out.founders, admitted_max);
    if (word == "endorser") return key(value, out.endorsers, endorsers_max);
    if (word == "admit") return key(value, out.admitted, admitted_max);
    if (std::find(once_.begin(), once_.end(), word) != once_.end()) {
      return bad(number, fmt::format("{} stands twice", word));
    }
    once_.emplace_back(word);
    if (word == "threshold") return percent(value, 51, 100, out.threshold_percent);
    if (word == "votes") return percent(value, 0, 100, out.votes_percent);
    if (word == "links") return percent(value, 2, 32, out.links);
    if (word == "name") {
      if (!is_name(value)) return bad(number, "a name is 1 to 64 of [a-z0-9._-]");
      out.name = value;
      return {};
    }
    if (word == "admission") {
      if (value != "open" && value != "listed") return bad(number, "admission is open or listed");
      out.is_open = value == "open";
      has_admission_ = true;
      return {};
    }
    return bad(number, fmt::format("{} is unknown", word));
  }

  Status finish(size_t lines) {
    if (out.name.empty()) return bad(lines, "the name is missing");
    if (!has_admission_) return bad(lines, "admission is missing");
    if (out.founders.empty()) return bad(lines, "a founder is missing");
    if (out.is_open && !out.admitted.empty()) {
      return bad(lines, "keys are admitted although admission is open");
    }
    out.admitted.insert(out.admitted.end(), out.founders.begin(), out.founders.end());
    out.admitted.insert(out.admitted.end(), out.endorsers.begin(), out.endorsers.end());
    std::sort(out.admitted.begin(), out.admitted.end());
    out.admitted.erase(std::unique(out.admitted.begin(), out.admitted.end()), out.admitted.end());
    return {};
  }

  Genesis out;

 private:
  Status key(std::string_view text, std::vector<PublicKey>& list, size_t max) {
    const auto bytes = from_hex(text);
    if (!bytes || bytes->size() != sizeof(PublicKey)) {
      return bad(number_, "a key is 64 hex digits, as `chaincast keygen` prints it");
    }
    if (list.size() == max) return bad(number_, fmt::format("more than {} such keys", max));
    PublicKey key;
    std::copy(bytes->begin(), bytes->end(), key.begin());
    list.push_back(key);
    return {};
  }

  Status percent(std::string_view text, unsigned low, unsigned high, unsigned& out_value) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out_value);
    if (code != std::errc{} || end != text.data() + text.size() || out_value < low ||
        out_value > high) {
      return bad(number_, fmt::format("a number from {} to {}", low, high));
    }
    return {};
  }

  size_t number_ = 0;
  std::vector<std::string> once_;
  bool has_admission_ = false;
};

}  // namespace

bool Genesis::admits(const PublicKey& key) const {
  return is_open || std::binary_search(admitted.begin(), admitted.end(), key);
}

Result<Genesis> parse_genesis(std::string_view text, const crypto::Toolbox& toolbox) {
  if (text.size() > genesis_bytes_max) return bad(1, "the file is longer than 8 MiB");
  const Digest network = toolbox.sha256(as_bytes(text));
  Parser parser;
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (++number == 1) {
      if (line != first_line) return bad(1, "the file does not start with chaincast-genesis-1");
      continue;
    }
    if (line.empty() || line.front() == '#') continue;
    if (Status good = parser.take(line, number); !good) return good.error();
  }
  if (number == 0) return bad(1, "the file is empty");
  if (Status good = parser.finish(number); !good) return good.error();
  parser.out.network = network;
  return std::move(parser.out);
}

Result<Genesis> load_genesis(const std::string& path, const crypto::Toolbox& toolbox) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (!file) {
    return error(errno == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                 fmt::format("genesis file {}: {}; copy it from a node of the network", path,
                             std::strerror(errno)));
  }
  std::string text;
  char piece[4096];
  while (text.size() <= genesis_bytes_max) {
    const size_t got = std::fread(piece, 1, sizeof piece, file.get());
    if (got == 0) break;
    text.append(piece, got);
  }
  if (std::ferror(file.get()) != 0) {
    return error(ErrorCode::io, fmt::format("genesis file {}: cannot be read", path));
  }
  auto genesis = parse_genesis(text, toolbox);
  if (!genesis) {
    return error(genesis.error().code, fmt::format("{}: {}", path, genesis.error().message));
  }
  return genesis;
}

std::string genesis_text(const Genesis& genesis) {
  std::string out = fmt::format("{}\nname {}\nadmission {}\n", first_line, genesis.name,
                                genesis.is_open ? "open" : "listed");
  for (const PublicKey& key : genesis.founders) out += fmt::format("founder {}\n", to_hex(key));
  for (const PublicKey& key : genesis.endorsers) out += fmt::format("endorser {}\n", to_hex(key));
  const auto is_named = [&](const PublicKey& key) {
    const auto& f = genesis.founders;
    const auto& e = genesis.endorsers;
    return std::find(f.begin(), f.end(), key) != f.end() ||
           std::find(e.begin(), e.end(), key) != e.end();
  };
  for (const PublicKey& key : genesis.admitted) {
    if (!genesis.is_open && !is_named(key)) out += fmt::format("admit {}\n", to_hex(key));
  }
  out += fmt::format("threshold {}\nvotes {}\nlinks {}\n", genesis.threshold_percent,
                     genesis.votes_percent, genesis.links);
  return out;
}

Result<Digest> create_genesis(const crypto::Toolbox& toolbox, const std::string& path,
                              const Genesis& genesis) {
  constexpr unsigned readable_by_all = 0644;
  const std::string text = genesis_text(genesis);
  // What is written must be what every node takes.
  const auto parsed = parse_genesis(text, toolbox);
  if (!parsed) return parsed.error();
  if (const Status written = write_new_file(path, text, readable_by_all); !written) {
    return written.error();
  }
  return parsed->network;
}

}  // namespace chaincast::identity
