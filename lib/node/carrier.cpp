// SPDX-License-Identifier: BSD-3-Clause
#include "node/carrier.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace chaincast::node {

namespace {

constexpr TimeNs housekeeping_interval_ns = 10 * ns_per_ms;
constexpr TimeNs forget_after_ns = 60 * ns_per_s;
constexpr int32_t conflict_budget_per_tick = 16;
constexpr unsigned own_frames_per_poll_max = 1024;
constexpr unsigned frames_per_poll_max = 2048;
constexpr size_t forgotten_max = 4096;

}  // namespace

// Receiver to subscribers of the resource.
class Carrier::Sink final : public stream::Sink {
 public:
  Sink(Delivery& delivery, const stream::Stream& stream)
      : delivery_(delivery), stream_(stream.id), keeping_(stream.descriptor.keeping) {}
  bool on_object(const stream::Object& object) override {
    return delivery_.offer(stream_, keeping_, object);
  }
  void on_lost(Seq first, Seq last) override { delivery_.lost(stream_, first, last); }

 private:
  Delivery& delivery_;
  const StreamId stream_;
  const wire::Keeping keeping_;  // the descriptor's, whatever this node's configuration says
};

Carrier::Carrier(CarrierConfig config, Plane& plane, Mailer& mailer, rcu::Retirer& retirer,
                 const crypto::Toolbox& toolbox, std::unique_ptr<crypto::FrameEngine> engine,
                 const crypto::Signer& signer, Log log)
    : config_(std::move(config)),
      plane_(plane),
      mailer_(mailer),
      retirer_(retirer),
      toolbox_(toolbox),
      engine_(std::move(engine)),
      signer_(signer),
      log_(std::move(log)) {}

Carrier::~Carrier() {
  while (!carried_.empty()) drop(carried_.begin()->first);
}

// ---- configuration --------------------------------------------------------------------------

Error Carrier::not_configured(std::string_view name) {
  return error(ErrorCode::not_found,
               fmt::format("stream {}: not configured; `show streams` lists the names", name));
}

Status Carrier::add(const StreamConfig& config, const std::optional<identity::SecretFile>& secret,
                    TimeNs now_ns) {
  if (resources_.count(config.name) != 0) {
    return error(ErrorCode::exists,
                 fmt::format("stream {}: configured already; remove it first", config.name));
  }
  if (config.publish && (!secret || secret->kind != identity::SecretFile::Kind::full)) {
    return error(ErrorCode::refused,
                 fmt::format("stream {}: cannot publish with {}; use the full secret", config.name,
                             secret ? "a relay secret" : "no secret"));
  }
  auto resource = std::make_unique<Resource>(Resource{config, {}, Delivery(), StreamId{}});
  if (secret) resource->secrets = identity::stream_secrets(toolbox_, *secret);
  if (config.publish) {
    if (Status started = start_origin(config.name, *resource, now_ns); !started) return started;
  }
  resources_[config.name] = std::move(resource);
  return {};
}

// Neighbours that were refused offer their streams again within two seconds.
Status Carrier::give(const std::string& name, const identity::SecretFile& secret) {
  const auto found = resources_.find(name);
  if (found == resources_.end()) return not_configured(name);
  found->second->secrets = identity::stream_secrets(toolbox_, secret);
  return {};
}

Status Carrier::start_origin(const std::string& name, Resource& resource, TimeNs now_ns) {
  stream::OriginConfig config;
  config.descriptor = descriptor_of(resource.config);
  if (config.descriptor.delivery == wire::Delivery::accepted && !resource.config.votes_percent) {
    config.descriptor.votes_percent = static_cast<uint8_t>(votes_default_percent_);
  }
  config.descriptor.network = config_.network;
  config.descriptor.created_unix_s = static_cast<uint32_t>(time(nullptr));
  config.pack_wait_ns = resource.config.pack_wait_us * ns_per_us;
  auto origin =
      stream::Origin::create(config, toolbox_, signer_, *engine_, *resource.secrets, now_ns);
  if (!origin)
    return error(origin.error().code, fmt::format("stream {}: {}", name, origin.error().message));
  const stream::SignedDescriptor descriptor{(*origin)->descriptor(),
                                            (*origin)->encoded_descriptor(),
                                            (*origin)->descriptor_digest(), (*origin)->id()};
  auto carried = carry(descriptor, resource, std::move(*origin), now_ns);
  if (!carried) return carried.error();
  resource.own = descriptor.id;
  return {};
}

Status Carrier::remove(const std::string& name, TimeNs now_ns) {
  const auto found = resources_.find(name);
  if (found == resources_.end()) return not_configured(name);
  std::vector<StreamId> gone;
  for (auto& [id, carried] : carried_) {
    if (carried->resource != name) continue;
    if (carried->origin) {
      carried->origin->end(now_ns, [&, own = id](ByteSpan frame, const Digest& digest) {
        mailer_.send_own(own, frame, digest);
      });
    }
    gone.push_back(id);
  }
  mailer_.flush();
  for (StreamId id : gone) withdraw(id);
  retirer_.flush();
  found->second->delivery.close("the stream was removed");
  resources_.erase(found);
  return {};
}

Result<Carried*> Carrier::carry(const stream::SignedDescriptor& descriptor, Resource& resource,
                                std::unique_ptr<stream::Origin> origin, TimeNs now_ns) {
  auto window = dedup::Window::create(stream::window_config(descriptor.descriptor));
  if (!window) return window.error();
  auto key = stream::make_frame_key(descriptor, 0, *resource.secrets, toolbox_, *engine_);
  if (!key) return key.error();

  auto shared = std::make_shared<stream::Stream>();
  shared->descriptor = descriptor.descriptor;
  shared->encoded = descriptor.encoded;
  shared->descriptor_digest = descriptor.digest;
  shared->id = descriptor.id;
  shared->name = descriptor.descriptor.resource;
  shared->frame_bytes_max =
      static_cast<uint16_t>(descriptor.descriptor.payload_bytes_max + wire::frame_header_bytes);
  shared->is_priority = descriptor.descriptor.carries_routes;
  shared->is_own = origin != nullptr;
  shared->window = std::move(*window);
  shared->keys_owned[0] = std::move(*key);
  shared->keys[0].key.store(shared->keys_owned[0].get(), std::memory_order_release);

  auto carried = std::make_unique<Carried>();
  carried->stream = shared;
  carried->origin = std::move(origin);
  carried->resource = descriptor.descriptor.resource;
  carried->quiet_since_ns = now_ns;
  carried->origin_node = identity::node_id(toolbox_, shared->descriptor.origin);
  make_ballots(*carried, resource);
  stream::ReceiverConfig receiver;
  receiver.judge = carried->ballots.get();
  receiver.gap_deadline_ns = resource.config.gap_deadline_ms * ns_per_ms;
  receiver.is_own = shared->is_own;
  stream::Stream* raw = shared.get();
  carried->receiver = stream::Receiver::create(
      receiver, shared->descriptor, shared->descriptor_digest, *shared->window, toolbox_, *engine_,
      [raw](Epoch epoch) { return raw->key_of(epoch); });
  if (carried->ballots) carried->ballots->attach(*carried->receiver);
  carried->repair =
      repair::Repair::create(config_.repair, shared->id, shared->descriptor, *carried->receiver,
                             *shared->window, shared->is_own, config_.seed ^ shared->id.value);
  if (shared->is_own) carried->receiver->start_at_descriptor(now_ns);
  if (!plane_.streams.insert(shared)) {
    return error(ErrorCode::refused,
                 fmt::format("stream {}: this node carries {} streams already; remove some",
                             shared->name, carried_.size()));
  }
  Carried* out = carried.get();
  carried_[shared->id] = std::move(carried);
  follow_votes();
  for (uint32_t peer : peering_->peers_up()) meet(*out, peer, now_ns);
  return out;
}

void Carrier::drop(StreamId id) {
  const auto found = carried_.find(id);
  if (found == carried_.end()) return;
  plane_.streams.remove(id, retirer_);
  retirer_.retire_shared(found->second->stream);
  carried_.erase(found);
  follow_votes();
}

// Neighbours stop sending it, and offer it again from time to time: its resource may be back.
void Carrier::withdraw(StreamId id) {
  const auto found = carried_.find(id);
  if (found == carried_.end()) return;
  if (found->second->origin) return forget(id);
  for (const auto& [peer, neighbour] : found->second->neighbours) {
    peering_->send(peer, wire::RefuseStream{id, wire::StreamRefusal::unknown_resource, 0});
  }
  drop(id);
}

void Carrier::forget(StreamId id) {
  if (carried_.count(id) == 0) return;
  drop(id);
  if (forgotten_.size() >= forgotten_max) forgotten_.erase(forgotten_.begin());
  forgotten_.insert(id);
}

// Ended by its origin's word, or fallen silent while a later incarnation speaks. Which was learned
// first says nothing: a neighbour may come back with an old one.
bool Carrier::is_over(const Carried& carried) const {
  const stream::ReceiverStatus& status = carried.receiver->status();
  if (status.is_ended || !status.is_stale) return status.is_ended;
  return std::any_of(carried_.begin(), carried_.end(), [&](const auto& entry) {
    const Carried& other = *entry.second;
    const stream::ReceiverStatus& its = other.receiver->status();
    return other.resource == carried.resource && its.anchored && !its.is_ended && !its.is_stale &&
           other.stream->descriptor.origin == carried.stream->descriptor.origin;
  });
}

// Streams that are over, once nothing moves in them any more.
void Carrier::forget_quiet(TimeNs now_ns) {
  std::vector<StreamId> gone;
  for (auto& [id, carried] : carried_) {
    const Seq seen = carried->stream->window->committed_end();
    if (seen != carried->quiet_seq) {
      carried->quiet_seq = seen;
      carried->quiet_since_ns = now_ns;
    }
    if (!carried->origin && now_ns - carried->quiet_since_ns > forget_after_ns &&
        is_over(*carried)) {
      gone.push_back(id);
    }
  }
  for (StreamId id : gone) {
    log_(fmt::format("stream {} {}: over, forgotten", carried_.at(id)->resource, id.hex()));
    forget(id);
  }
}

bool Carrier::has_moved_since(const Carried& carried, TimeNs since_ns) const {
  return carried.quiet_since_ns > since_ns ||
         carried.receiver->status().newest_statement_ns > since_ns;
}

// An origin that is back makes another stream, so this one mostly stays as it is.
void Carrier::look_for_origins(TimeNs now_ns) {
  if (kinship_ == nullptr) return;
  for (auto& [id, carried] : carried_) {
    if (carried->origin) continue;
    const bool is_live = kinship_->is_live(carried->origin_node);
    if (carried->is_origin_lost) {
      if (!is_live || !has_moved_since(*carried, carried->origin_lost_ns)) continue;
      carried->is_origin_lost = false;
      tell_of_origin(*carried);
      log_(fmt::format("stream {} {}: its origin is back", carried->resource, id.hex()));
    } else if (is_live) {
      carried->was_origin_live = true;
    } else if (carried->was_origin_live && !is_over(*carried)) {
      carried->is_origin_lost = true;
      carried->was_origin_live = false;
      carried->origin_lost_ns = now_ns;
      tell_of_origin(*carried);
      log_(fmt::format("stream {} {}: origin lost: node {} is gone from the network",
                       carried->resource, id.hex(), carried->origin_node.hex()));
    }
  }
}

void Carrier::tell_of_origin(const Carried& carried) {
  const auto resource = resources_.find(carried.resource);
  if (resource == resources_.end()) return;
  resource->second->delivery.origin(carried.stream->id, carried.is_origin_lost);
}

size_t Carrier::memory_bytes() const {
  size_t total = 0;
  for (const auto& [id, carried] : carried_) total += carried->stream->window->memory_bytes();
  return total;
}

// ---- polling --------------------------------------------------------------------------------

void Carrier::poll_origin(Carried& carried, TimeNs now_ns) {
  const StreamId id = carried.stream->id;
  const size_t room = std::min<size_t>(mailer_.own_room(id), own_frames_per_poll_max);
  carried.origin->poll(now_ns, static_cast<unsigned>(room),
                       [&](ByteSpan frame, const Digest& digest) {
                         if (mailer_.send_own(id, frame, digest)) {
                           ++counters_.own_frames;
                         } else {
                           ++counters_.own_lost;
                         }
                       });
}

bool Carrier::poll(TimeNs now_ns) {
  bool is_busy = false;
  for (auto& [id, carried] : carried_) {
    if (carried->origin) poll_origin(*carried, now_ns);
    const auto resource = resources_.find(carried->resource);
    if (resource == resources_.end()) continue;
    Sink sink(resource->second->delivery, *carried->stream);
    if (carried->ballots) {
      carried->ballots->follow(kinship_, carried->resource, now_ns);
      carried->ballots->look_at_marks();
    }
    is_busy |= carried->receiver->poll(now_ns, frames_per_poll_max, &sink);
    if (carried->ballots) count_votes(*carried);
    repair::RepairOutput out;
    if (carried->repair->next_timer_ns() <= now_ns) carried->repair->tick(now_ns, out);
    send(id, out);
  }
  if (now_ns >= next_housekeeping_ns_) {
    next_housekeeping_ns_ = now_ns + housekeeping_interval_ns;
    for (auto& [id, carried] : carried_) {
      carried->stream->conflict_budget.store(conflict_budget_per_tick, std::memory_order_relaxed);
      repeat_descriptors(*carried, now_ns);
    }
    for (auto& [name, resource] : resources_) resource->delivery.flush();
    forget_quiet(now_ns);
    look_for_origins(now_ns);
  }
  return is_busy;
}

TimeNs Carrier::next_timer_ns(TimeNs now_ns) const {
  TimeNs next = next_housekeeping_ns_;
  for (const auto& [id, carried] : carried_) {
    next = std::min({next, carried->receiver->next_timer_ns(), carried->repair->next_timer_ns()});
    if (carried->origin) next = std::min(next, carried->origin->next_timer_ns());
    // Workers commit without telling: frames are looked for every millisecond.
    next = std::min(next, now_ns + ns_per_ms);
  }
  return next;
}

void Carrier::end(TimeNs now_ns) {
  for (auto& [id, carried] : carried_) {
    if (!carried->origin) continue;
    const StreamId stream = id;
    carried->origin->end(now_ns, [&](ByteSpan frame, const Digest& digest) {
      mailer_.send_own(stream, frame, digest);
    });
  }
  for (auto& [name, resource] : resources_) resource->delivery.flush();
}

void Carrier::set_repair(const repair::RepairConfig& repair) {
  config_.repair = repair;
  for (auto& [id, carried] : carried_) carried->repair->configure(repair);
}

// ---- publish and subscribe ------------------------------------------------------------------

cli::PublishResult Carrier::publish(std::string_view name, ByteSpan object) {
  cli::PublishResult result;
  const auto found = resources_.find(name);
  const auto own = found == resources_.end() ? carried_.end() : carried_.find(found->second->own);
  if (own == carried_.end() || !own->second->origin) {
    result.message =
        found == resources_.end()
            ? not_configured(name).message
            : fmt::format("stream {}: this node is not its origin; set publish = true", name);
    return result;
  }
  auto taken = own->second->origin->publish(object);
  if (!taken) {
    result.message = fmt::format("stream {}: {}", name, taken.error().message);
    return result;
  }
  result.state = *taken ? cli::PublishState::accepted : cli::PublishState::busy;
  result.stream = own->first;
  return result;
}

Result<cli::StreamInfo> Carrier::info(std::string_view name) const {
  const auto found = resources_.find(name);
  if (found == resources_.end()) return not_configured(name);
  cli::StreamInfo info;
  info.object_bytes_max = found->second->config.object_bytes_max;
  info.can_publish = found->second->own.value != 0;
  info.stream = found->second->own;
  if (info.can_publish) return info;
  TimeNs newest_ns = 0;
  for (const auto& [id, carried] : carried_) {
    if (carried->resource != name || is_over(*carried)) continue;
    const TimeNs heard_ns = carried->receiver->status().newest_statement_ns;
    if (info.stream.value != 0 && heard_ns <= newest_ns) continue;
    newest_ns = heard_ns;
    info.stream = id;
  }
  return info;
}

Result<cli::SubscriptionId> Carrier::subscribe(std::string_view name, cli::Subscriber* subscriber) {
  const auto found = resources_.find(name);
  if (found == resources_.end()) return not_configured(name);
  const cli::SubscriptionId id = next_subscription_++;
  std::vector<StreamId> lost;
  for (const auto& [stream, carried] : carried_) {
    if (carried->resource == name && carried->is_origin_lost) lost.push_back(stream);
  }
  found->second->delivery.add(id, subscriber, lost);
  return id;
}

void Carrier::unsubscribe(cli::SubscriptionId subscription) {
  for (auto& [name, resource] : resources_) {
    if (resource->delivery.remove(subscription)) return;
  }
}

}  // namespace chaincast::node
