/* SPDX-License-Identifier: BSD-3-Clause */
/* libchaincast: publish objects on the streams of a chaincast node on this host, and subscribe to
 * them. See chaincast(3). The ABI is that of the soname libchaincast.so.0: functions may be added,
 * under a new symbol version; structures keep their size (their reserved fields are zero).
 *
 * - Functions that can fail return CHAINCAST_OK or a negative code; chaincast_error() then has a
 *   sentence for a person, which names the thing, the place and the remedy.
 * - A connection is used by one thread at a time; different connections by different threads.
 * - A timeout is in milliseconds: 0 does not wait, CHAINCAST_FOREVER waits for ever.
 * - Texts are UTF-8 and end with a zero byte. What the library hands out belongs to it and is valid
 *   until the next call with that connection, chaincast_error() excepted.
 * - No signal is raised, no thread started, no exception leaves the library.
 */
#ifndef CHAINCAST_H
#define CHAINCAST_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define CHAINCAST_API __attribute__((visibility("default")))
#else
#define CHAINCAST_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define CHAINCAST_FOREVER (-1)
/* Objects that may be under way on one connection: submitted, and their receipts not yet taken. */
#define CHAINCAST_PENDING_MAX 1000
#define CHAINCAST_ERROR_BYTES 512

enum chaincast_code {
  CHAINCAST_OK = 0,
  CHAINCAST_ERROR_INVALID = -1,     /* a malformed or out-of-range argument */
  CHAINCAST_ERROR_NOT_FOUND = -2,   /* the node knows no such stream */
  CHAINCAST_ERROR_REFUSED = -3,     /* the node said no, or a bound is reached */
  CHAINCAST_ERROR_UNSUPPORTED = -4, /* the node is too old for it */
  CHAINCAST_ERROR_IO = -5,          /* no connection, or it is lost: close it */
  CHAINCAST_ERROR_TIMEOUT = -6,     /* not yet: try again */
  CHAINCAST_ERROR_MEMORY = -7
};

/* An open connection to the control socket of a node. */
typedef struct chaincast_connection chaincast_connection;

/* (major << 16) | (minor << 8) | patch of the library that runs. */
CHAINCAST_API uint32_t chaincast_version(void);
/* "ok", "invalid", ... for any code; never NULL. Static. */
CHAINCAST_API const char *chaincast_code_name(int code);

/* ---- connections ---------------------------------------------------------------------------- */

/* Connects to the socket at `path` ([node] socket of the node's configuration). On failure,
 * `*connection` is NULL and the reason is in `error`, cut to error_bytes (CHAINCAST_ERROR_BYTES are
 * plenty; NULL and 0 if not wanted). Blocks while the node's backlog is full. */
CHAINCAST_API int chaincast_open(const char *path, chaincast_connection **connection, char *error,
                                 size_t error_bytes);
/* Ends subscriptions and frees everything. NULL is allowed. Objects whose receipts were not taken
 * may or may not have been published. */
CHAINCAST_API void chaincast_close(chaincast_connection *connection);
/* Why the last call failed; empty if it did not. Valid until the next call. */
CHAINCAST_API const char *chaincast_error(const chaincast_connection *connection);
/* A descriptor for poll(2), epoll(7) or select(2): once a call with timeout 0 has returned
 * CHAINCAST_ERROR_TIMEOUT, it becomes readable (POLLIN) when that call should be tried again.
 * Never read, write or close it. */
CHAINCAST_API int chaincast_fd(const chaincast_connection *connection);

/* ---- streams and commands ------------------------------------------------------------------- */

struct chaincast_stream_info {
  uint64_t stream;           /* id of the newest incarnation; 0: none so far */
  uint32_t object_bytes_max; /* longest object */
  uint32_t can_publish;      /* 1: this node is an origin of the stream */
  uint64_t reserved[2];
};
/* What the node knows of the stream with that configured name. Waits up to a minute. */
CHAINCAST_API int chaincast_stream(chaincast_connection *connection, const char *stream,
                                   struct chaincast_stream_info *info);
/* The node's name, id, version and state, and the `protocol` it speaks, as one JSON document. */
CHAINCAST_API int chaincast_status(chaincast_connection *connection, const char **json);
/* Runs one command of the node (`chaincastctl help all` lists them); as_json selects the form of
 * the reply. The command itself failed if *exit_code is not 0; `text` then says why. */
CHAINCAST_API int chaincast_command(chaincast_connection *connection, const char *line, int as_json,
                                    const char **text, int *exit_code, int timeout_ms);

/* ---- publishing ----------------------------------------------------------------------------- */

struct chaincast_receipt {
  uint64_t stream;    /* id of the stream that the object went into */
  uint64_t first_seq; /* its first frame; 0 where the node packs several objects into a frame */
  uint64_t reserved[2];
};
/* Publishes one whole object of `bytes` bytes (0 is allowed) and waits until the node owns it,
 * which is the back-pressure. `receipt` may be NULL. CHAINCAST_ERROR_REFUSED: the node will not
 * take this object. After CHAINCAST_ERROR_TIMEOUT chaincast_pending() tells: 0, the object was not
 * handed over; 1, it is under way and its receipt can be taken later. Objects that were submitted
 * must have had their receipts taken. */
CHAINCAST_API int chaincast_publish(chaincast_connection *connection, const char *stream,
                                    const void *object, size_t bytes, int timeout_ms,
                                    struct chaincast_receipt *receipt);
/* The same without waiting for the node, so that many objects are under way. The object is copied.
 * CHAINCAST_ERROR_TIMEOUT: the connection is full (back-pressure), and the object was not taken.
 * CHAINCAST_ERROR_REFUSED: CHAINCAST_PENDING_MAX objects are under way. */
CHAINCAST_API int chaincast_submit(chaincast_connection *connection, const char *stream,
                                   const void *object, size_t bytes, int timeout_ms);
/* As chaincast_submit, for a program that calls this connection again at once: the object may be
 * kept and go with those that follow, so that many small ones cost one system call. What is kept
 * leaves when it is 64 KiB, with the next chaincast_submit, and before a call waits for a receipt
 * or an event. */
CHAINCAST_API int chaincast_submit_more(chaincast_connection *connection, const char *stream,
                                        const void *object, size_t bytes, int timeout_ms);
/* Takes the receipt of the oldest object under way; `receipt` may be NULL. On
 * CHAINCAST_ERROR_REFUSED it is taken as well: that object was not published. */
CHAINCAST_API int chaincast_take_receipt(chaincast_connection *connection,
                                         struct chaincast_receipt *receipt, int timeout_ms);
/* Objects under way. */
CHAINCAST_API size_t chaincast_pending(const chaincast_connection *connection);

/* ---- subscribing ---------------------------------------------------------------------------- */

/* Every object of the stream with that configured name from now on. `*subscription` (which may be
 * NULL) is a number that its events carry. At most 16 on a connection. */
CHAINCAST_API int chaincast_subscribe(chaincast_connection *connection, const char *stream,
                                      uint32_t *subscription);

/* The same through memory that this process shares with the node: for readers at full rate, since
 * neither side makes a system call while both keep up. The node takes ring_bytes (0: 4 MiB) rounded
 * up to a power of two with room for two of the stream's longest objects, 64 MiB at most.
 * CHAINCAST_ERROR_UNSUPPORTED: the node has no rings. */
CHAINCAST_API int chaincast_subscribe_ring(chaincast_connection *connection, const char *stream,
                                           size_t ring_bytes, uint32_t *subscription);

/* Subscriptions made on this connection from now on tell as well when the node that a stream comes
 * from is gone from the network (CHAINCAST_ORIGIN_LOST; at once, where it is gone already), and when
 * it is back and the stream goes on (CHAINCAST_ORIGIN_BACK). An origin that was started anew makes
 * another stream, whose objects say so. Nodes without [membership] know of no origin that is gone.
 * CHAINCAST_ERROR_UNSUPPORTED: the node is too old; subscriptions work without. */
CHAINCAST_API int chaincast_watch_origins(chaincast_connection *connection);

enum chaincast_event_kind {
  CHAINCAST_OBJECT = 1, /* one whole object, in the stream's order */
  CHAINCAST_LOST = 2,   /* frames first_seq..last_seq of the stream will never come */
  CHAINCAST_CLOSED = 3, /* the subscription has ended: `reason` */
  CHAINCAST_ORIGIN_LOST = 4, /* see chaincast_watch_origins; no sequence numbers */
  CHAINCAST_ORIGIN_BACK = 5
};
struct chaincast_event {
  uint32_t kind; /* enum chaincast_event_kind; skip others */
  uint32_t subscription;
  uint64_t stream; /* id; 0 for CHAINCAST_CLOSED */
  uint64_t first_seq;
  uint64_t last_seq;
  const void *object; /* valid until the next call with this connection */
  size_t object_bytes;
  const char *reason; /* CHAINCAST_CLOSED, else NULL; valid until the next call */
  uint64_t reserved[4];
};
/* The next event of any subscription. A loss is told before any later object of that stream. */
CHAINCAST_API int chaincast_next(chaincast_connection *connection, struct chaincast_event *event,
                                 int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
