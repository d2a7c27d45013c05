// SPDX-License-Identifier: BSD-3-Clause
// The C interface of libchaincast over console::Client. Nothing throws past it.
#include "chaincast.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "console/unix/client.hpp"
#include "local/ring.hpp"

using chaincast::ByteSpan;
using chaincast::Error;
using chaincast::ErrorCode;
using chaincast::console::Client;

struct chaincast_connection {
  explicit chaincast_connection(Client opened) : client(std::move(opened)) {}
  Client client;
  std::string error;
  std::string text;  // what was handed out last
};

namespace {

static_assert(CHAINCAST_PENDING_MAX == Client::under_way_max);
static_assert(CHAINCAST_FOREVER == Client::for_ever);

int code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid:
      return CHAINCAST_ERROR_INVALID;
    case ErrorCode::not_found:
      return CHAINCAST_ERROR_NOT_FOUND;
    case ErrorCode::exists:
    case ErrorCode::refused:
      return CHAINCAST_ERROR_REFUSED;
    case ErrorCode::unsupported:
      return CHAINCAST_ERROR_UNSUPPORTED;
    case ErrorCode::io:
      return CHAINCAST_ERROR_IO;
    case ErrorCode::timeout:
      return CHAINCAST_ERROR_TIMEOUT;
  }
  return CHAINCAST_ERROR_IO;
}

int fail(chaincast_connection& connection, const Error& failure) {
  connection.error = failure.message;
  return code_of(failure.code);
}

int invalid(chaincast_connection& connection, const char* what) {
  connection.error = what;
  return CHAINCAST_ERROR_INVALID;
}

// The body of one call: checks the handle, forgets the last error, stops exceptions.
template <typename Body>
int call(chaincast_connection* connection, Body&& body) noexcept {
  if (connection == nullptr) return CHAINCAST_ERROR_INVALID;
  try {
    connection->error.clear();
    return body(*connection);
  } catch (const std::exception&) {
    connection->error.clear();
    return CHAINCAST_ERROR_MEMORY;
  }
}

int put_receipt(chaincast_connection& connection, int timeout_ms, chaincast_receipt* receipt) {
  const auto result = connection.client.receive_published(timeout_ms);
  if (!result) return fail(connection, result.error());
  if (result->state != chaincast::cli::PublishState::accepted) {
    connection.error = result->message;
    return CHAINCAST_ERROR_REFUSED;
  }
  if (receipt != nullptr) *receipt = {result->stream.value, result->first_seq, {}};
  return CHAINCAST_OK;
}

int submit(chaincast_connection& connection, const char* stream, const void* object, size_t bytes,
           int timeout_ms, bool more = false) {
  if (stream == nullptr || (object == nullptr && bytes > 0)) {
    return invalid(connection, "publish: stream or object is NULL; give both");
  }
  if (bytes > chaincast::local::object_bytes_limit) {
    connection.error = fmt::format("publish {}: {} bytes; an object has at most {}", stream, bytes,
                                   chaincast::local::object_bytes_limit);
    return CHAINCAST_ERROR_INVALID;
  }
  const ByteSpan span(static_cast<const uint8_t*>(object), bytes);
  const auto sent = connection.client.send_publish(stream, span, timeout_ms, more);
  return sent ? CHAINCAST_OK : fail(connection, sent.error());
}

int put_subscription(chaincast_connection& connection, const chaincast::Result<uint32_t>& index,
                     uint32_t* subscription) {
  if (!index) return fail(connection, index.error());
  if (subscription != nullptr) *subscription = *index;
  return CHAINCAST_OK;
}

chaincast_event to_event(chaincast_connection& connection, const Client::Event& event) {
  chaincast_event out{};
  out.subscription = event.subscription;
  out.stream = event.stream.value;
  out.first_seq = event.first_seq;
  out.last_seq = event.last_seq;
  switch (event.kind) {
    case Client::EventKind::object:
      out.kind = CHAINCAST_OBJECT;
      out.object = event.object.data();
      out.object_bytes = event.object.size();
      break;
    case Client::EventKind::lost:
      out.kind = CHAINCAST_LOST;
      break;
    case Client::EventKind::origin_lost:
      out.kind = CHAINCAST_ORIGIN_LOST;
      break;
    case Client::EventKind::origin_back:
      out.kind = CHAINCAST_ORIGIN_BACK;
      break;
    case Client::EventKind::closed:
      out.kind = CHAINCAST_CLOSED;
      connection.text = event.reason;
      out.reason = connection.text.c_str();
      break;
  }
  return out;
}

void copy_text(const char* text, char* out, size_t out_bytes) {
  if (out == nullptr || out_bytes == 0) return;
  const size_t bytes = std::min(std::strlen(text), out_bytes - 1);
  std::memcpy(out, text, bytes);
  out[bytes] = '\0';
}

}  // namespace

extern "C" {

uint32_t chaincast_version(void) {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  std::sscanf(CHAINCAST_VERSION, "%u.%u.%u", &major, &minor, &patch);
  return (major << 16) | (minor << 8) | patch;
}

const char* chaincast_code_name(int code) {
  switch (code) {
    case CHAINCAST_OK:
      return "ok";
    case CHAINCAST_ERROR_INVALID:
      return "invalid";
    case CHAINCAST_ERROR_NOT_FOUND:
      return "not found";
    case CHAINCAST_ERROR_REFUSED:
      return "refused";
    case CHAINCAST_ERROR_UNSUPPORTED:
      return "unsupported";
    case CHAINCAST_ERROR_IO:
      return "connection lost";
    case CHAINCAST_ERROR_TIMEOUT:
      return "timeout";
    case CHAINCAST_ERROR_MEMORY:
      return "out of memory";
    default:
      return "unknown code";
  }
}

int chaincast_open(const char* path, chaincast_connection** connection, char* error,
                   size_t error_bytes) {
  if (connection == nullptr) return CHAINCAST_ERROR_INVALID;
  *connection = nullptr;
  copy_text("", error, error_bytes);
  if (path == nullptr) {
    copy_text("open: the path is NULL; give that of the node's socket", error, error_bytes);
    return CHAINCAST_ERROR_INVALID;
  }
  try {
    auto client = Client::connect(path);
    if (!client) {
      copy_text(client.error().message.c_str(), error, error_bytes);
      return code_of(client.error().code);
    }
    *connection = new chaincast_connection(std::move(*client));
    return CHAINCAST_OK;
  } catch (const std::exception&) {
    copy_text("out of memory", error, error_bytes);
    return CHAINCAST_ERROR_MEMORY;
  }
}

void chaincast_close(chaincast_connection* connection) {
  delete connection;
}

const char* chaincast_error(const chaincast_connection* connection) {
  return connection != nullptr ? connection->error.c_str() : "the connection is NULL";
}

int chaincast_fd(const chaincast_connection* connection) {
  return connection != nullptr ? connection->client.fd() : -1;
}

int chaincast_stream(chaincast_connection* connection, const char* stream,
                     chaincast_stream_info* info) {
  return call(connection, [&](chaincast_connection& self) {
    if (stream == nullptr || info == nullptr) return invalid(self, "stream: an argument is NULL");
    const auto found = self.client.stream(stream);
    if (!found) return fail(self, found.error());
    *info = {found->stream.value, found->object_bytes_max, found->can_publish ? 1u : 0u, {}};
    return int{CHAINCAST_OK};
  });
}

int chaincast_status(chaincast_connection* connection, const char** json) {
  return call(connection, [&](chaincast_connection& self) {
    if (json == nullptr) return invalid(self, "status: json is NULL");
    const auto status = self.client.status();
    if (!status) return fail(self, status.error());
    self.text = status->dump();
    *json = self.text.c_str();
    return int{CHAINCAST_OK};
  });
}

int chaincast_command(chaincast_connection* connection, const char* line, int as_json,
                      const char** text, int* exit_code, int timeout_ms) {
  return call(connection, [&](chaincast_connection& self) {
    if (line == nullptr) return invalid(self, "command: the line is NULL");
    auto reply = self.client.command(line, as_json != 0, timeout_ms);
    if (!reply) return fail(self, reply.error());
    self.text = std::move(reply->text);
    if (text != nullptr) *text = self.text.c_str();
    if (exit_code != nullptr) *exit_code = reply->exit_code;
    return int{CHAINCAST_OK};
  });
}

int chaincast_publish(chaincast_connection* connection, const char* stream, const void* object,
                      size_t bytes, int timeout_ms, chaincast_receipt* receipt) {
  return call(connection, [&](chaincast_connection& self) {
    if (self.client.under_way() > 0) {
      return invalid(self, "publish: objects are under way; take their receipts first");
    }
    const int code = submit(self, stream, object, bytes, timeout_ms);
    return code == CHAINCAST_OK ? put_receipt(self, timeout_ms, receipt) : code;
  });
}

int chaincast_submit(chaincast_connection* connection, const char* stream, const void* object,
                     size_t bytes, int timeout_ms) {
  return call(connection, [&](chaincast_connection& self) {
    return submit(self, stream, object, bytes, timeout_ms);
  });
}

int chaincast_submit_more(chaincast_connection* connection, const char* stream, const void* object,
                          size_t bytes, int timeout_ms) {
  return call(connection, [&](chaincast_connection& self) {
    return submit(self, stream, object, bytes, timeout_ms, true);
  });
}

int chaincast_take_receipt(chaincast_connection* connection, chaincast_receipt* receipt,
                           int timeout_ms) {
  return call(connection,
              [&](chaincast_connection& self) { return put_receipt(self, timeout_ms, receipt); });
}

size_t chaincast_pending(const chaincast_connection* connection) {
  return connection != nullptr ? connection->client.under_way() : 0;
}

int chaincast_subscribe(chaincast_connection* connection, const char* stream,
                        uint32_t* subscription) {
  return call(connection, [&](chaincast_connection& self) {
    if (stream == nullptr) return invalid(self, "subscribe: the stream is NULL");
    return put_subscription(self, self.client.subscribe(stream), subscription);
  });
}

int chaincast_subscribe_ring(chaincast_connection* connection, const char* stream,
                             size_t ring_bytes, uint32_t* subscription) {
  return call(connection, [&](chaincast_connection& self) {
    if (stream == nullptr) return invalid(self, "subscribe: the stream is NULL");
    if (ring_bytes > chaincast::local::ring_bytes_max) {
      return invalid(self, "subscribe: a ring has at most 64 MiB");
    }
    const auto bytes = static_cast<uint32_t>(ring_bytes);
    return put_subscription(
        self, self.client.subscribe_ring(stream, bytes > 0 ? bytes : Client::ring_bytes_default),
        subscription);
  });
}

int chaincast_watch_origins(chaincast_connection* connection) {
  return call(connection, [&](chaincast_connection& self) {
    const auto watched = self.client.watch_origins();
    return watched ? int{CHAINCAST_OK} : fail(self, watched.error());
  });
}

int chaincast_next(chaincast_connection* connection, chaincast_event* event, int timeout_ms) {
  return call(connection, [&](chaincast_connection& self) {
    if (event == nullptr) return invalid(self, "next: the event is NULL");
    const auto next = self.client.next_event(timeout_ms);
    if (!next) return fail(self, next.error());
    *event = to_event(self, *next);
    return int{CHAINCAST_OK};
  });
}

}  // extern "C"
