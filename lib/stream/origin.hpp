// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "crypto/crypto.hpp"
#include "wire/descriptor.hpp"

// The origin of one stream: objects in, sealed and chained frames out, signed statements in
// sequence (docs/streams.md). A pure machine; owner: the control thread (or the simulator).
//
// Whole objects that fit share a frame; larger ones are cut, first and last marked. Frames leave at
// the rate that the descriptor declares. A statement follows K frames or the end of a burst, at
// least T after the one before, and every 10 s when idle; it covers every frame since the last one
// covered, the statement before it included. Nothing is stated before the first frame.
// Memory: the queue (8 MiB, or one object if that is larger) and one frame.
namespace chaincast::stream {

inline constexpr size_t origin_queue_bytes_max = size_t{8} << 20;
inline constexpr TimeNs idle_statement_interval_ns = 10 * ns_per_s;

struct OriginConfig {
  wire::Descriptor descriptor;  // complete but for incarnation, origin key and signature
  TimeNs pack_wait_ns = 0;      // how long small objects may wait to share a frame; 0: pack only
                                // what is there already
};

class Origin {
 public:
  // Signs a descriptor with a fresh incarnation from `toolbox`. Toolbox, signer and engine outlive
  // the origin. `invalid`: the descriptor; `refused`: a confidential suite without its secret.
  static Result<std::unique_ptr<Origin>> create(OriginConfig config, const crypto::Toolbox& toolbox,
                                                const crypto::Signer& signer,
                                                crypto::FrameEngine& engine,
                                                const crypto::StreamSecrets& secrets,
                                                TimeNs now_ns);
  virtual ~Origin() = default;

  virtual const wire::Descriptor& descriptor() const = 0;
  virtual const Bytes& encoded_descriptor() const = 0;
  virtual const Digest& descriptor_digest() const = 0;
  virtual StreamId id() const = 0;

  // Queues one object. `refused` above object_bytes_max or after end(); false: the queue is full,
  // try again.
  virtual Result<bool> publish(ByteSpan object) = 0;
  // One sealed frame (header and payload) and its digest, in sequence; valid during the call.
  using Emit = std::function<void(ByteSpan frame, const Digest& digest)>;
  // Emits at most `frames_max` frames that the declared rate allows at `now`, statements included.
  // Returns the number emitted.
  virtual unsigned poll(TimeNs now_ns, unsigned frames_max, const Emit& emit) = 0;
  // Sends what is queued, whatever the rate, and a last statement with the end flag. Poll until
  // queued_bytes() is 0 first, or receivers' windows may overflow.
  virtual void end(TimeNs now_ns, const Emit& emit) = 0;
  // When poll() has something to do next.
  virtual TimeNs next_timer_ns() const = 0;

  virtual Seq next_seq() const = 0;
  virtual size_t queued_bytes() const = 0;
  virtual const Bytes& newest_statement() const = 0;  // payload; empty before the first
};

}  // namespace chaincast::stream
