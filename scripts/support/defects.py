# SPDX-License-Identifier: BSD-3-Clause
"""The planted defects of scripts/mutants: each changes one line in a way that a bug could, and
names the test that must notice. Grouped by test program."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    file: str
    old: str  # occurs exactly once in the file
    new: str
    program: str  # meson target
    tests: str  # gtest filter; at least one of its cases must fail


WIRE, CRYPTO = "tests/test_wire", "tests/test_drivers_crypto_openssl"
HOP, DEDUP, RATE = "tests/test_hop", "tests/test_dedup", "tests/test_rate"
CLASSIFY = "tests/test_classify"
STREAM, REPAIR, FANOUT = "tests/test_stream", "tests/test_repair", "tests/test_fanout"
PORT, IDENTITY, OPS = "tests/test_port", "tests/test_identity", "tests/test_ops"
ROUTE = "tests/test_route"

WINDOW, MRT = "lib/dedup/window.cpp", "lib/route/mrt.cpp"
CHAIN, RECEIVER = "lib/stream/chain.cpp", "lib/stream/receiver.cpp"
RULES = "lib/crypto/frame_rules.hpp"

DEFECTS = [
    # A frame longer than its datagram, bytes behind the last frame, a header cut short.
    Defect("lib/wire/datagram.cpp", "} else if (rest_.size() < frame_bytes) {",
           "} else if (rest_.size() + 1 < frame_bytes) {",
           WIRE, "Datagram.every_truncation_is_truncated"),
    Defect("lib/wire/datagram.cpp", "fault_ == DatagramFault::none && !rest_.empty()",
           "fault_ == DatagramFault::none && rest_.size() > 1",
           WIRE, "Datagram.wrong_counts_and_trailing_bytes"),
    Defect("lib/wire/datagram.cpp", "} else if (head.hop.hops > hops_max) {",
           "} else if (head.hop.hops > hops_max + 1) {",
           WIRE, "Datagram.version_and_hops_at_their_extremes"),

    # Half a tag compared, a nonce that repeats.
    Defect(RULES, "return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;", "return (x[0] ^ y[0]) == 0;",
           CRYPTO, "*EveryFlippedBitIsRefused"),
    Defect(RULES, "std::memcpy(nonce.data() + 4, frame + wire::frame_offset_seq, 8);",
           "std::memcpy(nonce.data() + 4, frame + wire::frame_offset_stream, 8);",
           CRYPTO, "*SealFollowsTheDocument"),

    # The replay window's edge and memory, the check of a datagram, the link's state machine.
    Defect("lib/hop/lane.cpp", "if (highest_ - counter >= window_bits) return Verdict::too_old;",
           "if (highest_ - counter > window_bits) return Verdict::too_old;",
           HOP, "ReplayWindow.IsExactlyWindowBitsWide"),
    Defect("lib/hop/lane.cpp", "seen_[word % words] &= ~mask;", "seen_[word % words] &= mask;",
           HOP, "ReplayWindow.AgreesWithASet"),
    Defect("lib/hop/stage.cpp",
           "if (load_be32(burst.datagrams[index].data + 12) == expected[i]) continue;",
           "if (burst.datagrams[index].data[12] == expected[i] >> 24) continue;",
           HOP, "Stage.AFlippedBitFailsTheCheckAndChangesNothing"),
    Defect("lib/hop/stage.cpp", "const Drop reason = judge_replay(lane, counter);",
           "const Drop reason = counter == 0 ? Drop::too_old : keep;",
           HOP, "Stage.DropsReplaysAcrossAndInsideBursts"),
    Defect("lib/hop/links.cpp", "if (now_ns >= live.heard_ns + config.timers.dead_ns) {",
           "if (now_ns >= live.heard_ns + 2 * config.timers.dead_ns) {",
           HOP, "LinksTest.SilenceTakesTheLinkDownAndDataKeepsItUp"),
    Defect("lib/hop/alive.cpp", "live.next_confirm_ns = time_never;",
           "live.next_confirm_ns = now_ns;",
           HOP, "LinksTest.*"),
    Defect("lib/hop/hello.cpp", "if (!crypto::equal_constant_time(mac, hello->mac)) {",
           "if (mac[0] != hello->mac[0]) {",
           HOP, "LinksTest.EveryByteOfAHelloIsCovered"),

    # Committing, probing, and the floor below which nothing is taken.
    Defect(WINDOW, "return found == word ? Commit::duplicate : Commit::second;",
           "return Commit::duplicate;",
           DEDUP, "Window.KeepsTwoVariantsAndRefusesTheThird"),
    Defect(WINDOW,
           "if (found == word || impl_->second_word(seq) == word) return Probe::duplicate;",
           "if (found == word) return Probe::duplicate;",
           DEDUP, "Window.*"),
    Defect(WINDOW, "const Seq low = base > size / 2 ? base - size / 2 : 0;",
           "const Seq low = base > size ? base - size : 0;",
           DEDUP, "Window.*"),
    Defect(WINDOW, "base = std::min(base, signed_end.load(std::memory_order_relaxed) + "
           "config.signed_lead_max);",
           "base = std::max(base, signed_end.load(std::memory_order_relaxed));",
           DEDUP, "Window.AMembersOwnChainCannotPushItBeyondTheSignedLead"),

    # What is not known gets its own reason.
    Defect("lib/classify/stage.cpp", "if (key == nullptr) return Drop::unknown_epoch;",
           "if (key == nullptr) return Drop::bad_suite;",
           CLASSIFY, "ClassifyTest.EachUnknownIsCountedByItsReason"),
    Defect("lib/classify/stage.cpp", "left - wire::frame_header_bytes < load_be16(",
           "left - wire::frame_header_bytes + 1 < load_be16(",
           CLASSIFY, "ClassifyTest.LengthsBeyondTheDatagramAreTruncated"),
    Defect("lib/classify/stage.cpp", "cursor.offset = offset;", "cursor.offset = 0;",
           CLASSIFY, "ClassifyTest.ResumesInTheMiddleOfADatagram"),

    # Bulk that leaves nothing to priority.
    Defect("lib/rate/bucket.hpp", "burst - burst / 8 : burst;", "burst : burst;",
           RATE, "Bucket.BulkLeavesAnEighthToPriority"),

    # The origin's chain; how long a receiver waits, and what it tells of losses.
    Defect("lib/stream/origin.cpp",
           "std::copy_n(last_digest_.begin(), header.link.size(), header.link.begin());",
           "std::copy_n(signed_.digest.begin(), header.link.size(), header.link.begin());",
           STREAM, "OriginTest.FramesAreChainedAndStatedInEverySuite"),
    Defect(CHAIN, "at->final_variant = static_cast<int8_t>(variant);", "at->final_variant = 0;",
           STREAM, "ReceiverTest.AnInsiderWhoWinsEveryRaceChangesNothingAtFinal"),
    Defect(CHAIN, "|| gap->second.noticed_ns + rules_.gap_deadline_ns <= now_ns;",
           "|| gap->second.noticed_ns <= now_ns;",
           STREAM, "ReceiverTest.ALiveStreamGivesUpAGapAfterTheDeadline"),
    Defect(RECEIVER, "counters_.lost_frames += last - first + 1;",
           "counters_.lost_frames += last - first;",
           STREAM, "ReceiverTest.ALiveStreamGivesUpAGapAfterTheDeadline"),
    Defect("lib/stream/assembler.cpp", "  drop_partial(counters_.lost_objects);", "  ;",
           STREAM, "ReceiverTest.AnObjectWithAHoleIsDroppedWhole"),

    # A request at once, and one for the wrong frames.
    Defect("lib/repair/repair.cpp",
           "if (is_new) ask.next_try_ns = now_ns + config_.first_wait_ns;",
           "if (is_new) ask.next_try_ns = now_ns;",
           REPAIR, "RepairTest.AsksForAGapAfterTheReorderingAllowance"),
    Defect("lib/repair/repair.cpp", "nack.map |= uint64_t{1} << (missing.seq - nack.first_seq);",
           "nack.map |= uint64_t{1} << (missing.seq % map_bits);",
           REPAIR, "RepairTest.*"),

    # Back to its source, too big for the path, with a wrong check or checksum.
    Defect("lib/fanout/stage.cpp", "if (out.source == peer.peer) continue;",
           "if (out.source == peer.peer + 1) continue;",
           FANOUT, "Fanout.SplitsTheHorizonPerSourceAndRaisesHops"),
    Defect("lib/fanout/stage.cpp", "if (out.bytes > peer.datagram_bytes_max && out.frames > 0)",
           "if (out.bytes > peer.datagram_bytes_max && out.frames > 1)",
           FANOUT, "Fanout.AFrameTooBigForOnePathReachesTheOthers"),
    Defect("lib/fanout/bundle.cpp",
           "out.tag_xor ^= wire::tag_words_xor(frame.bytes + wire::frame_offset_tag);",
           "out.tag_xor = wire::tag_words_xor(frame.bytes + wire::frame_offset_tag);",
           FANOUT, "Fanout.SmallFramesOfOneBurstAreBundledOnceInOrder"),
    Defect("lib/fanout/stamp.cpp", "if (i < bytes) sum += data[i];",
           "if (i + 1 < bytes) sum += data[i];",
           FANOUT, "Stamp.PayloadSumIsRfc1071sForEveryLengthAndAlignment"),

    # A carry lost, a claim believed, an address answered for that is not ours.
    Defect("lib/port/checksum.cpp", "constexpr size_t chunk_bytes = 65536 * vector_bytes;",
           "constexpr size_t chunk_bytes = 2 * 65536 * vector_bytes;",
           PORT, "Checksum.KeepsEveryCarryOfLargeAndExtremeInput"),
    Defect("lib/port/neighbour.cpp",
           "if (operation != arp_request || own(target, false) == nullptr || "
           "sender_mac == config_.mac)",
           "if (operation != arp_request || sender_mac == config_.mac)",
           PORT, "Neighbour.AnswersArpForItsOwnAddressesOnly"),
    Defect("lib/port/neighbour.cpp",
           "confirm(*entry, sender_mac, false, now_ns);  // a claim: taken, and asked about",
           "confirm(*entry, sender_mac, true, now_ns);",
           PORT, "Neighbour.MovedNeighboursAreFollowedAndAsked"),

    Defect("lib/identity/line_file.cpp", "if ((info.st_mode & 077) != 0) {",
           "if ((info.st_mode & 007) != 0) {",
           IDENTITY, "IdentityTest.FilesOpenToOthersAreRefusedWithTheRemedy"),
    Defect("lib/identity/line_file.cpp", "O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600",
           "O_WRONLY | O_CREAT | O_CLOEXEC, 0600",
           IDENTITY, "IdentityTest.NothingIsEverOverwritten"),

    Defect("lib/ops/parse.cpp", "value >= argument.min && value <= argument.max) return {};",
           "value >= argument.min && value <= argument.max + 1) return {};",
           OPS, "TableTest.NumbersNameRangeAndUnit"),
    Defect("lib/ops/parse.cpp", "if (bound_[i] || argument.optional) continue;",
           "if (bound_[i] || !argument.optional) continue;",
           OPS, "TableTest.MissingArgumentsPrintTheUsageLine"),

    Defect(MRT, "skipped = length > mrt_record_bytes_max;",
           "skipped = length > mrt_record_bytes_max + 1;",
           ROUTE, "Mrt.oversized_record_is_skipped"),
    Defect("lib/route/bgp.cpp", "const ByteSpan address = in.bytes((bits + 7u) / 8u);",
           "const ByteSpan address = in.bytes(bits / 8u);",
           ROUTE, "Mrt.reads_updates_and_counts_the_rest"),
    Defect(MRT, "if (open_.size() + needed > object_bytes_) flush(out);",
           "if (open_.size() > object_bytes_) flush(out);",
           ROUTE, "RoutePacker.fills_objects_keeps_calls_together_and_order"),
]
