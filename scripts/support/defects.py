# SPDX-License-Identifier: BSD-3-Clause
"""The planted defects of scripts/mutants: each changes one line in a way that a bug could, and
names the test that must notice. Grouped by test program; those of networks are in
defects_network.py."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Defect:
    file: str
    old: str  # occurs exactly once in the file
    new: str
    program: str  # meson target
    tests: str  # gtest filter; at least one of its cases must fail


WIRE, CRYPTO = "tests/test_wire", "tests/test_drivers_crypto_openssl"
IPSEC_MB, VERIFY = "tests/test_drivers_crypto_ipsec_mb", "tests/test_verify"
LANES = "tests/test_crypto"
HOP, DEDUP, RATE = "tests/test_hop", "tests/test_dedup", "tests/test_rate"
CLASSIFY, BASE = "tests/test_classify", "tests/test_base"
STREAM, REPAIR, FANOUT = "tests/test_stream", "tests/test_repair", "tests/test_fanout"
PORT, IDENTITY, OPS = "tests/test_port", "tests/test_identity", "tests/test_ops"
CAPTURED, TRACE, LATENCY = "tests/test_capture", "tests/test_trace", "tests/test_latency"
ROUTE, NODE = "tests/test_route", "tests/test_node"
LOCAL, GEN = "tests/test_local", "tests/test_gen"
RING, CAPTURE = "lib/local/ring.cpp", "lib/gen/capture.cpp"
SYSTEMD = "tests/test_drivers_console_systemd"
MEMBERSHIP = "tests/node/test_membership"
ETHDEV, EAL = "tests/test_drivers_port_ethdev", "tests/test_drivers_process_eal"
UDP = "tests/test_drivers_port_udp"
NODES = "tests/node/test_nodes"
HTTP, METRICS = "tests/test_drivers_console_http", "tests/test_metrics"
FEED, REST = "tests/test_feed", "tests/test_rest"
GRAPH, SIM, VOTE = "tests/test_graph", "tests/test_sim", "tests/test_vote"

WINDOW, CONFLICTS = "lib/dedup/window.cpp", "lib/dedup/conflicts.cpp"
MRT, TAP = "lib/route/mrt.cpp", "lib/capture/tap.cpp"
CHAIN, RECEIVER = "lib/stream/chain.cpp", "lib/stream/receiver.cpp"
ASSEMBLER, LANE = "lib/stream/assembler.cpp", "lib/hop/lane.cpp"
DELIVERY, LINE_FILE = "lib/node/delivery.cpp", "lib/identity/line_file.cpp"
RULES = "lib/crypto/frame_rules.hpp"
SESSION, TLS = "tests/test_session", "tests/test_drivers_session_tls"
PUNCH = "tests/test_punch"
CHOICE = "lib/session/choice.cpp"

DEFECTS = [
    # A commit that comes too late, a change that outlives its connection, one begun anew that
    # forgets where it came from; a key that only a restart takes over said to be live.
    Defect("lib/node/confirm.cpp", "if (now_ns >= deadline_ns_) {", "if (now_ns > deadline_ns_) {",
           NODE, "Confirm.ACommitAtTheDeadlineIsTooLate"),
    Defect("lib/node/confirm.cpp", "session == 0 || session != session_) return Act::nothing;",
           "session != 0) return Act::nothing;",
           NODE, "Confirm.ACutConnectionTakesBackWhatItBegan"),
    Defect("lib/node/confirm.cpp", "return was_open ? Act::nothing : Act::checkpoint;",
           "return Act::checkpoint;",
           NODE, "Confirm.BeginningAgainExtendsAndKeepsTheCheckpoint"),
    Defect("lib/node/plan.cpp", ": all_in(keys, live_node_keys)", ": all_in(keys, live_peer_keys)",
           NODE, "Plan.SaysOfEachKeyWhatItTakes"),

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
    # A key of another epoch, which would repeat its nonces; a tag that need not fit.
    Defect(RULES, "load_be32(job.frame + wire::frame_offset_epoch) == job.key->epoch;",
           "load_be32(job.frame + wire::frame_offset_epoch) >= job.key->epoch;",
           IPSEC_MB, "BothLanes/MbEngineTest.AKeyServesItsOwnEpochAndSuiteOnly/*"),
    Defect("drivers/crypto/ipsec_mb/engine.cpp",
           "job.ok = tags_equal(tag.data(), job.frame + wire::frame_offset_tag);",
           "job.ok = job.ok || tags_equal(tag.data(), job.frame + wire::frame_offset_tag);",
           IPSEC_MB, "BothLanes/MbEngineTest.EveryFlippedBitIsRefused/*"),
    # The last block of a message, the lengths' block, keys of a run that are not the same.
    Defect("lib/crypto/sha256_lanes.cpp", "return (message_bytes + 8) / block_bytes",
           "return (message_bytes + 7) / block_bytes",
           LANES, "Sha256Lanes.EveryLengthUpToFiveBlocks"),
    Defect("lib/crypto/sha256_lanes.cpp", "block = _mm512_maskz_loadu_epi8(present, beyond_gap);",
           "block = _mm512_maskz_loadu_epi8(~uint64_t{0}, beyond_gap);",
           LANES, "Sha256Lanes.ReadsTheFrameAndNoMore"),
    Defect("lib/crypto/gmac_lanes.cpp", "const uint64_t carry = 0 - (high >> 63);",
           "const uint64_t carry = 0;",
           LANES, "GmacLanes.KeysOfBothKinds"),
    Defect("drivers/crypto/ipsec_mb/engine.cpp", "if (count > 0 && run[0]->key != job.key) {",
           "if (count > 0 && run[0]->key->suite != job.key->suite) {",
           IPSEC_MB, "BothLanes/MbEngineTest.MixedBatchesAgreeWithTheReference/Own"),
    Defect("lib/verify/stage.cpp", "if (!jobs_[i].ok) {",
           "if (!jobs_[i].ok && jobs_[i].want_digest) {",
           VERIFY, "*GoodFramesStayAndOneFlippedBitDropsExactlyItsFrame*"),
    Defect("lib/verify/stage.cpp",
           "!is_cut_through(job.key->suite) || frame.is_conflict;",
           "is_cut_through(job.key->suite) || frame.is_conflict;",
           VERIFY, "*StrictFramesGetTheirDigestAndCutThroughOnesNone*"),
    Defect("lib/verify/stage.cpp", "!is_cut_through(job.key->suite) || frame.is_conflict;",
           "!is_cut_through(job.key->suite);",
           VERIFY, "*ASecondVariantGetsItsDigestInEverySuite*"),

    # The replay window's edge and memory, the check of a datagram, the link's state machine.
    Defect(LANE, "if (highest_ - counter >= window_bits) return Verdict::too_old;",
           "if (highest_ - counter > window_bits) return Verdict::too_old;",
           HOP, "ReplayWindow.IsExactlyWindowBitsWide"),
    Defect(LANE, "seen_[word % words] &= ~mask;", "seen_[word % words] &= mask;",
           HOP, "ReplayWindow.AgreesWithASet"),
    Defect(LANE, "forget(highest_ + 1, counter);", "forget(highest_ + 2, counter);",
           HOP, "ReplayWindow.AgreesWithASet"),
    Defect(LANE, "if (near + half <= highest_) return near + span;", "if (false) return near;",
           HOP, "ReplayWindow.ExtendsTheLowHalfToTheNearestCounter"),
    Defect("lib/hop/session.cpp", "rx_window_.accept(sealed.counter);", ";",
           HOP, "LinksTest.SealedMessagesAreTakenOnceAndOnlyUnaltered"),
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
    Defect(WINDOW, "    fits_previous = fits_next;", "    fits_previous = true;",
           DEDUP, "Window.ABurstIsJudgedAsItsFramesAreOneByOne"),
    Defect(WINDOW, "return found == word ? Commit::duplicate : Commit::second;",
           "return Commit::duplicate;",
           DEDUP, "Window.KeepsTwoVariantsAndRefusesTheThird"),
    Defect(WINDOW,
           "if (found == word || impl_->second_word(seq) == word) return Probe::duplicate;",
           "if (found == word) return Probe::duplicate;",
           DEDUP, "Window.*"),
    Defect(WINDOW, "Seq low = base > size / 2 ? base - size / 2 : 0;",
           "Seq low = base > size ? base - size : 0;",
           DEDUP, "Window.*"),
    Defect(WINDOW, "base = std::min(base, signed_end.load(std::memory_order_relaxed) + "
           "config.signed_lead_max);",
           "base = std::max(base, signed_end.load(std::memory_order_relaxed));",
           DEDUP, "Window.AMembersOwnChainCannotPushItBeyondTheSignedLead"),
    # Two workers that both win, a second variant that both keep, bounds off by one.
    Defect(WINDOW, "if (place.compare_exchange_strong(found, word, std::memory_order_acq_rel,",
           "if (place.store(word), place.compare_exchange_strong(word, word, "
           "std::memory_order_acq_rel,",
           DEDUP, "DedupRace.EveryFrameIsCommittedExactlyOnce"),
    Defect(CONFLICTS, "side_slot(*k).wanted() != half_of(digest.data())", "false",
           DEDUP, "Window.KeepsThePlaceForTheFrameThatIsWanted"),
    Defect(CONFLICTS, "if (!place.compare_exchange_strong(found, word, std::memory_order_acq_rel,",
           "if (place.store(word); !place.compare_exchange_strong(found = word, word, "
           "std::memory_order_acq_rel,",
           DEDUP, "DedupRace.EveryTwinIsKeptAtMostOnce"),
    Defect(WINDOW, "low = std::min(low, final_end.load(std::memory_order_relaxed));",
           "low = std::max(low, final_end.load(std::memory_order_relaxed));",
           STREAM, "ConflictTest.*"),
    Defect(WINDOW, "if (seq - low >= size) return Commit::ahead;",
           "if (seq - low > size) return Commit::ahead;",
           DEDUP, "Window.StaleAndAheadLeaveNoTrace"),
    Defect(WINDOW, "return anchor == Anchor::anything || (anchor == Anchor::digest && "
           "anchor_half == link);",
           "return anchor != Anchor::none;",
           DEDUP, "Window.*"),

    # Of two faults the one that docs/wire.md has first.
    Defect("lib/wire/datagram.cpp", "} else if (hop.hops != 0) {",
           "} else if (hop.hops != 0 && hop.check == 0) {",
           WIRE, "*TheFirstOfTheDocumentedOnesIsNamed*"),

    # What is not known gets its own reason.
    Defect("lib/classify/stage.cpp", "reason_ = Drop::unknown_epoch;",
           "reason_ = Drop::bad_suite;",
           CLASSIFY, "ClassifyTest.EachUnknownIsCountedByItsReason"),
    # What a run of neighbours led to holds for those that say the same.
    Defect("lib/classify/stage.cpp", "load_be64(header) & 0xff'ffff'ffff",
           "load_be64(header) & 0xffff'ffff",
           CLASSIFY, "ClassifyTest.RunsOfNeighboursAreJudgedAndCountedEachByItsOwnHeader"),
    Defect("lib/classify/stage.cpp", "    count_run();\n    selector_ = selector;",
           "    selector_ = selector;",
           CLASSIFY, "ClassifyTest.RunsOfNeighboursAreJudgedAndCountedEachByItsOwnHeader"),
    Defect("lib/classify/stage.cpp", "left - wire::frame_header_bytes < load_be16(",
           "left - wire::frame_header_bytes + 1 < load_be16(",
           CLASSIFY, "ClassifyTest.EveryTruncationKeepsTheWholeFramesOnly"),
    Defect("lib/classify/stage.cpp", "burst.frame_count + next.frame_count <= stage::frames_max",
           "burst.frame_count + 2u * next.frame_count <= stage::frames_max",
           CLASSIFY, "ClassifyTest.ARoundTakesWholeDatagrams"),
    Defect("lib/classify/stage.cpp", "if (left < wire::frame_header_bytes ||",
           "if (left + 1 < wire::frame_header_bytes ||",
           CLASSIFY, "ClassifyTest.EveryTruncationKeepsTheWholeFramesOnly"),

    # Bulk that leaves nothing to priority.
    Defect("lib/rate/bucket.hpp", "burst - burst / 8 : burst;", "burst : burst;",
           RATE, "Bucket.BulkLeavesAnEighthToPriority"),

    # The origin's chain; how long a receiver waits, and what it tells of losses.
    Defect("lib/stream/origin.cpp",
           "std::copy_n(last_digest_.begin(), header.link.size(), header.link.begin());",
           "std::copy_n(signed_.digest.begin(), header.link.size(), header.link.begin());",
           STREAM, "OriginTest.FramesAreChainedAndStatedInEverySuite"),
    Defect(CHAIN, "at->final_variant = static_cast<int8_t>(variant);", "at->final_variant = 0;",
           STREAM, "ConflictTest.AnInsiderWhoWinsEveryRaceChangesNothingAtFinal"),
    Defect(CHAIN, "|| gap->second.noticed_ns + rules_.gap_deadline_ns <= now_ns;",
           "|| gap->second.noticed_ns <= now_ns;",
           STREAM, "ReceiverTest.ALiveStreamGivesUpAGapAfterTheDeadline"),
    Defect(RECEIVER, "counters_.lost_frames += last - first + 1;",
           "counters_.lost_frames += last - first;",
           STREAM, "ReceiverTest.ALiveStreamGivesUpAGapAfterTheDeadline"),
    Defect(ASSEMBLER, "  drop_partial(counters_.lost_objects);", "  ;",
           STREAM, "ReceiverTest.AnObjectWithAHoleIsDroppedWhole"),

    # Linked to another than the anchor, by half a name, by the other variant's link.
    Defect(CHAIN, "return !anchor_.link || *anchor_.link == at.variants[variant].link;",
           "return true;",
           STREAM, "ChainTest.TheFirstFrameMustNameTheAnchorByteForByte"),
    Defect(CHAIN, "return !anchor_.link || *anchor_.link == at.variants[variant].link;",
           "return !anchor_.link || *anchor_.link == at.variants[0].link;",
           STREAM, "ChainTest.TheFirstFrameMustNameTheAnchorByteForByte"),
    Defect(CHAIN, "return std::equal(link.begin(), link.end(), digest.begin());",
           "return std::equal(link.begin(), link.end() - 1, digest.begin());",
           STREAM, "ChainTest.EveryByteOfALinkCounts"),
    Defect(CHAIN, "names(at.variants[variant].link, previous->variants[previous->best()].digest);",
           "names(at.variants[0].link, previous->variants[previous->best()].digest);",
           STREAM, "ChainTest.EveryByteOfALinkCounts"),
    Defect(CHAIN, "wanted = wanted_by(at->variants[static_cast<size_t>(variant)].link);",
           "wanted = wanted_by(at->variants[0].link);",
           STREAM, "ChainTest.AWordMakesItsWholeHistoryFinal"),
    Defect(CHAIN, "previous->chosen = other;", ";",
           STREAM, "ChainTest.TheChoiceChangesToTheVariantThatIsContinued"),

    # Objects twice, late or out of their order.
    Defect(ASSEMBLER, "    packed_at_ = 0;", "    ;",
           STREAM, "Assembler.AFullSinkGetsEachPackedObjectOnce"),
    Defect(ASSEMBLER, "packed_at_ += wire::packed_length_bytes + object_.bytes.size();",
           "packed_at_ += object_.bytes.size();",
           STREAM, "Assembler.AFullSinkGetsEachPackedObjectOnce"),
    Defect(RECEIVER, "if (!lost.empty() && lost.front().first <= delivered_next_) {",
           "if (!lost.empty()) {",
           STREAM, "ReceiverTest.ALossIsToldBehindWhatCameBeforeIt"),

    # A request at once, and one for the wrong frames.
    Defect("lib/repair/repair.cpp",
           "if (is_new) ask.next_try_ns = now_ns + config_.first_wait_ns;",
           "if (is_new) ask.next_try_ns = now_ns;",
           REPAIR, "RepairTest.AsksForAGapAfterTheReorderingAllowance"),
    Defect("lib/repair/repair.cpp", "nack.map |= uint64_t{1} << (missing.seq - nack.first_seq);",
           "nack.map |= uint64_t{1} << (missing.seq % map_bits);",
           REPAIR, "RepairTest.*"),
    Defect("lib/repair/repair.cpp", "if (is_same && now_ns < last.at_ns + interval) {",
           "if (is_same && now_ns <= last.at_ns + interval) {",
           REPAIR, "RepairTest.AnswersWithTheFrameOncePerRoundTrip"),
    Defect("lib/repair/repair.cpp", "if (is_same && now_ns < last.at_ns + interval) {",
           "if (is_same && now_ns < last.at_ns + answer_interval_min_ns) {",
           REPAIR, "RepairTest.AnswersWithTheFrameOncePerRoundTrip"),

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
    Defect("lib/fanout/bundle.hpp", "waiting_max - stage::frames_max;", "waiting_max;",
           FANOUT, "Fanout.RoundsBeyondTheRoomAreSentInOrder"),
    Defect("lib/fanout/bundle.cpp", "offset % 2 == 0 ? frame.sum", "offset % 2 < 2 ? frame.sum",
           FANOUT, "Fanout.SumsOfFramesMakeThoseOfTheirBundles"),
    Defect("lib/base/checksum.cpp", "if (i < bytes) sum += data[i];",
           "if (i + 1 < bytes) sum += data[i];",
           BASE, "InternetSum.IsRfc1071sForEveryLengthAndAlignment"),
    Defect("lib/fanout/stamp.hpp", "const Word none = (checksum - 1) >> 16",
           "const Word none = (checksum - 1) >> 17",
           FANOUT, "Stamp.UdpChecksumIsNeverZero"),
    Defect("lib/fanout/batch.cpp", "std::find(sources_.begin(), end, peer.peer) == end;",
           "std::find(sources_.begin(), end, peer.peer + 1) == end;",
           FANOUT, "Fanout.SplitsTheHorizonPerSourceAndRaisesHops"),
    Defect("lib/fanout/batch.cpp", "room_min_ >= reach_bytes", "room_min_ > 0",
           FANOUT, "Fanout.OneReceiverGetsManyInTheirHeadroomWhereAllHaveEnough"),
    Defect("lib/fanout/batch.cpp", "bytes_max_ <= peer.datagram_bytes_max &&", "bytes_max_ > 0 &&",
           FANOUT, "Fanout.AFrameTooBigForOnePathReachesTheOthers"),
    Defect("lib/fanout/copy.cpp", "places * 0 + (high + 1)", "places * 0 + high",
           FANOUT, "FanoutModel.EveryPeerGetsEveryFrameOnceOrItIsCounted"),
    # A driver's own buffers taken until nothing can be received; runs gathered over each other.
    Defect("lib/fanout/copy.cpp", "free_outside_caches(pool) >= pool->size / 2",
           "free_outside_caches(pool) > 0",
           FANOUT, "Fanout.LinearCopiesLieWhereTheDriverSendsFromWhileHalfOfThatIsFree"),
    Defect("drivers/port/udp/sender.cpp", "gathered_.data() + plan.gathered_bytes;",
           "gathered_.data();",
           UDP, "Kernel/UdpModes.RunsOfOneSizeArriveByteExactInOrder/*"),
    Defect("lib/fanout/stamp.cpp", "pseudo_sum_ = internet_sum(ip + 8, 32);",
           "pseudo_sum_ = internet_sum(ip + 8, 16);",
           FANOUT, "Fanout.EveryKindOfPeerGetsTheSameBytesWithItsOwnHeaders"),

    Defect("lib/port/plain.hpp", "& 0xff3f) == 0;", "& 0xff00) == 0;",
           PORT, "TakePlain.TakesWhatMostPacketsAreAndAgreesOnAllOthers"),
    Defect("lib/port/plain.hpp", "ipv4_bytes + length > total", "ipv4_bytes + length > total + 1",
           PORT, "TakePlain.TakesWhatMostPacketsAreAndAgreesOnAllOthers"),
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

    Defect(LINE_FILE, "if ((info.st_mode & 077) != 0) {",
           "if ((info.st_mode & 007) != 0) {",
           IDENTITY, "IdentityTest.FilesOpenToOthersAreRefusedWithTheRemedy"),
    Defect(LINE_FILE, "O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode",
           "O_WRONLY | O_CREAT | O_CLOEXEC, mode",
           IDENTITY, "IdentityTest.NothingIsEverOverwritten"),
    Defect(LINE_FILE, "write_new_file(path, text, 0600);", "write_new_file(path, text, 0640);",
           IDENTITY, "IdentityTest.CreatedKeyLoadsAndSigns"),

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

    # A number beyond its range, a subscriber that overtakes its own queue.
    Defect("lib/node/config_parse.cpp", "static_cast<uint64_t>(number) <= range.max;",
           "static_cast<uint64_t>(number) <= range.max + 1;",
           NODE, "Lines/BadConfig.*"),
    Defect("lib/node/config_check.cpp", "|| stream.window_frames < 1024)) {",
           "|| stream.window_frames < 512)) {",
           NODE, "Relations/BadConfig.*"),
    Defect(DELIVERY, "if (subscription.waiting.empty() && "
           "subscription.subscriber->on_object(delivered)) {",
           "if (subscription.subscriber->on_object(delivered)) {",
           NODE, "DeliveryTest.WhatWaitsGoesAheadOfWhatComes"),
    Defect(DELIVERY, "before.last_seq = oldest->last_seq;", ";",
           NODE, "DeliveryTest.ASlowSubscriberOfALiveStreamLosesTheOldestAndIsTold"),
    Defect(DELIVERY, "return subscription.waiting_bytes == 0 ||", "return",
           NODE, "DeliveryTest.AnObjectLargerThanTheQueueIsNotHeldBackForEver"),
    Defect(DELIVERY, "one.kind == Waiting::Kind::object && !one.is_kept;",
           "one.kind == Waiting::Kind::object;",
           NODE, "DeliveryTest.AKeptStreamLosesNothingToALiveOneBesideIt"),
    # A link's budget that is never asked, a port queue kept by two workers.
    Defect("lib/hop/stage.cpp", "if (lane.budget == nullptr) return true;",
           "if (lane.budget != nullptr) return true;",
           HOP, "Stage.ALinkDeliversFramesWithinItsBudget"),
    Defect("lib/fanout/queue.cpp", "std::min(queue - own, workers - 1)",
           "std::min(queue, workers - 1)",
           FANOUT, "PeerState.AQueueIsKeptByTheWorkerThatSendsOnIt"),
    # Commands that read a key otherwise than a file, or look at another section.
    Defect("lib/node/config_arguments.cpp", 'value = given == "on";', 'value = given == "off";',
           NODE, "ConfigArguments.SayWhatAFileSays"),
    Defect("lib/node/config_arguments.cpp", "problem.index + 1 != list.size()",
           "problem.index + 1 == list.size()",
           NODE, "ConfigArguments.AreHeldAgainstWhatRuns"),

    # A file of a later version read as if it were ours; a manager that kills a node in its drain,
    # or for want of a sign of life.
    Defect("lib/node/config_parse.cpp", "if (!check_version(root)) return problems_.error();",
           "check_version(root);", NODE, "Config.AFileOfALaterVersion*"),
    Defect("drivers/console/systemd/systemd.cpp", "(options_.drain_ns + stop_margin_ns)",
           "options_.drain_ns", SYSTEMD, "Manager.WaitsAsLong*"),
    Defect("drivers/console/systemd/systemd.cpp", "watchdog_us * ns_per_us / 2",
           "watchdog_us * ns_per_us", SYSTEMD, "Manager.HasItsWatchdog*"),

    # A device that EAL probed and that cannot be had again.
    Defect("drivers/port/ethdev/device.cpp", "if (device != nullptr) rte_dev_remove(device);",
           "static_cast<void>(device);",
           ETHDEV, "Ethdev.DetachesWhatEalHadProbedAndTakesItAgain"),

    # A ring whose ends believe each other, or let a reader sleep over what has come.
    Defect(RING, "if (head < head_ || head > committed_) {", "if (head > committed_) {",
           LOCAL, "Ring.AReaderThatGoesBackIsNotBelieved"),
    Defect(RING, "if (bytes > left) return Step::damaged;",
           "if (bytes > 2 * data_bytes_) return Step::damaged;",
           LOCAL, "Ring.AReaderStaysWithinTheRingWhateverItHolds"),
    Defect(RING, "if (head_ + held_bytes_ != tail_) return false;", "",
           LOCAL, "Ring.OnlyASleeperIsWoken"),
    # A fragment taken for a whole datagram.
    Defect(CAPTURE, "(fragment & 0x3fff) != 0", "(fragment & 0x2000) != 0",
           GEN, "Capture.FragmentsAndCutDatagramsAreNoPayloads"),

    # A socket frame shorter than its packet, a pool freed under a packet, a link that stays up.
    Defect("lib/port/kinds.cpp", "(wanted + page_bytes - 1) / page_bytes * page_bytes",
           "wanted / page_bytes * page_bytes", PORT, "Kinds.PacketSockets*"),
    Defect("lib/node/pools.cpp", "if (rte_mempool_full(pool) == 0) return false;",
           "if (pool == nullptr) return false;", NODE, "PoolsTest.APoolStays*"),
    Defect("lib/hop/links.cpp", "  impl_->take_down(*peer, why, out);\n",
           "  static_cast<void>(why);\n", HOP, "LinksTest.ALostPort*"),

    # A counter without its suffix; a label that ends early; a client that may send for ever; more
    # clients than allowed; a client that is waited for without end.
    Defect("lib/metrics/metrics.cpp", 'return "_total";', 'return "";',
           METRICS, "Metrics.RowsBecomeSamplesOfTheirFamily"),
    Defect("lib/metrics/metrics.cpp", "if (c == '\\\\' || c == '\"') out += '\\\\';",
           "if (c == '\\\\') out += '\\\\';", METRICS, "Metrics.LabelsAreEscaped"),
    Defect("drivers/console/http/connection.cpp", "in_.size() > options_.request_bytes_max",
           "in_.size() > 8 * options_.request_bytes_max", HTTP, "Http.ALongRequestIsRefused"),
    Defect("drivers/console/http/server.cpp", "clients_.size() >= options_.clients_max",
           "clients_.size() > options_.clients_max", HTTP, "Http.ClientsAreBounded"),
    Defect("drivers/console/http/connection.cpp", "now_ns >= deadline_ns_",
           "now_ns > 2 * deadline_ns_", HTTP, "Http.AClientThatSaysNothingIsDismissed"),
    # A capture that has what never left, counts no loss of its own, or notes drops elsewhere.
    Defect(TAP, "if (count < offered_count_) ring_.rewind(marks_[count]);", ";",
           CAPTURED, "Tap.WhatThePortGivesBack*"),
    Defect(TAP, "if (is_missed_[i]) missed_[offered_port_].add();", ";",
           CAPTURED, "Tap.WhatFindsNoRoom*"),
    Defect(TAP, "record->is_void = !is_wanted(*record);", "record->is_void = false;",
           CAPTURED, "*TakesDownExactlyTheCountedDrops*"),
    Defect("lib/capture/ring.cpp", "  next_ = mark;", "  ;",
           CAPTURED, "RecordRing.AgreesWithAQueue"),
    Defect("lib/capture/pcapng.cpp", "packet.is_outgoing ? direction_out : direction_in",
           "packet.is_outgoing ? direction_in : direction_out",
           CAPTURED, "Pcapng.TsharkReadsBackEveryField"),
    # A frame that is said to be lost one stage late, a queue that costs no time.
    Defect("lib/trace/trace.cpp", "  at_ = after(point);", "  at_ = after(after(point));",
           TRACE, "TraceTest.ALostFrameSaysWhereAndWhy"),
    Defect("lib/fanout/outbox.cpp", "made[i]->bytes, now_us_);", "made[i]->bytes);",
           LATENCY, "Meter.AQueuedCopyIsTimed*"),
    # A refusal forgotten for a path that grows; a commit that the window's end does not follow.
    Defect("lib/node/carrier_links.cpp",
           "!neighbour->second.is_refused || neighbour->second.is_by_path", "true",
           NODES, "Nodes.ARefusedStreamIsNotSentUntilItIsWanted"),
    Defect(WINDOW, "end = std::max(end, arrivals[i].seq + 1);", "end = before;",
           DEDUP, "Window.CommitsOnceAndReadsBack"),
    # Bulk where control should be alone, control where no rule leaves it alone, a rule too many.
    Defect("lib/node/peering.cpp", "link.remote_control_port && lane != 0 ? 1 : 0;", "0;",
           NODES, "Nodes.ControlHasAQueueOfItsOwnThatIsPolledFirst"),
    Defect("lib/hop/hello.cpp", "hello.suites & ~wire::control_port_bit;", "hello.suites;",
           HOP, "LinksTest.ComesUpWithTheSameLanesOnBothSides"),
    Defect("drivers/port/ethdev/receive_queues.cpp", "if (out.rx_queues == with_control) out",
           "out", ETHDEV, "ReceiveQueues.WithTooFewForAllWorkersControlSharesItsQueue"),
    Defect("drivers/port/ethdev/steering.cpp", "if (!has_address(config, is_ipv6)) continue;", ";",
           ETHDEV, "Steering.NamesEveryPort"),
    # Everybody on a worker's cpu.
    Defect("drivers/process/eal/lcores.cpp", "std::erase(others, cpu);", ";",
           EAL, "Lcores.PinnedWorkersHaveTheirCpusAndTheMainLcoreTheOthers"),
    Defect("lib/node/plan.cpp", '"ports", live_port_keys);', '"ports", none_live);',
           NODE, "Plan.APortListensToMoreWithoutBeingReplaced"),
    # An object more than the reader has room for, one sent twice to who asks again, an answer for
    # what the stream has not taken, a key that stands twice.
    Defect("lib/feed/outlet.cpp", "return weight(object.size()) <= reader_->room;", "return true;",
           FEED, "FeedOutlet.NoMoreThanTheRoom"),
    Defect("lib/feed/outlet.cpp", "if (!reader_->is_open) close();\n    return;",
           "if (!reader_->is_open) close();",
           FEED, "FeedOutlet.ARepeatedRequestGetsTheEndAlone"),
    Defect("lib/feed/intake.cpp", "if (result.state == cli::PublishState::busy) return false;", "",
           FEED, "FeedIntake.WithoutRoomTheAnswerIsWithheld"),
    Defect("lib/rest/streaming.cpp", "is_double = is_double || !keys", "is_double = !keys",
           REST, "RestStreaming.KeysAreThoseOfThePathEachOnce"),
]
