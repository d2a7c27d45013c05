// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "crypto/crypto.hpp"
#include "stream/receiver.hpp"
#include "wire/descriptor.hpp"

// The statements of one stream: which are waiting to be checked, which are known to be the
// origin's, and whether two of them prove two histories. Owner: a Receiver.
//
// A checked statement names the hash of the one before it, so that one is known without a check of
// its own. Memory: candidates_max payloads and known_max hashes with payloads.
namespace chaincast::stream {

inline constexpr size_t statement_candidates_max = 64;
inline constexpr size_t statement_known_max = 256;

class Statements {
 public:
  Statements(const wire::Descriptor& descriptor, const Digest& descriptor_digest,
             const crypto::Toolbox& toolbox, ReceiverCounters& counters)
      : descriptor_(descriptor),
        descriptor_digest_(descriptor_digest),
        toolbox_(toolbox),
        counters_(counters) {}

  // Keeps a payload for check_next(); known ones are ignored, malformed and foreign ones counted.
  void offer(ByteSpan payload);
  // Checks candidates, the highest index first, until one holds or `quota` is used up. The result
  // is a statement that was not known before.
  std::optional<wire::Statement> check_next(unsigned& quota);
  bool has_candidates() const { return !candidates_.empty(); }

  // Newest checked one; empty before the first.
  const Bytes& newest() const { return newest_; }
  const wire::Statement& newest_fields() const { return newest_fields_; }
  // The origin has signed two histories.
  bool is_forked() const { return !evidence_.empty(); }
  const std::vector<Bytes>& evidence() const { return evidence_; }
  // The chain of frames itself shows it: the statement checked last and the newest one.
  void report_fork(const wire::Statement& statement);

 private:
  struct Candidate {
    wire::Statement fields;
    Bytes payload;
    Digest hash{};
  };
  struct Known {
    Digest hash{};
    Bytes payload;  // empty: known by hash only
  };
  bool is_known(const Candidate& candidate) const;
  void accept(const Candidate& candidate);
  void learn(uint64_t index, const Digest& hash, const Bytes& payload, const Bytes& witness);

  const wire::Descriptor& descriptor_;
  const Digest descriptor_digest_;
  const crypto::Toolbox& toolbox_;
  ReceiverCounters& counters_;
  std::vector<Candidate> candidates_;  // ascending index
  std::map<uint64_t, Known> known_;    // by index
  Bytes newest_;
  wire::Statement newest_fields_;
  std::vector<Bytes> evidence_;
};

}  // namespace chaincast::stream
