# SPDX-License-Identifier: BSD-3-Clause
"""The only place that knows how the JSON of `show` and of the generator is laid out. Everything
else asks by meaning."""

# meaning: the names under which a reply carries it, the first one present wins.
NAMES = {
    "name": ("name",),
    "state": ("state",),
    "received": ("received_frames", "received"),
    "unique": ("unique_frames", "unique", "committed"),
    "duplicates": ("duplicate_frames", "duplicates", "duplicate"),
    "verified": ("verified_frames", "verified"),
    "repaired": ("repaired_frames", "repaired"),
    "delivered_objects": ("delivered_objects", "objects"),
    "delivered_bytes": ("delivered_bytes", "bytes"),
    "hops": ("hops_max", "hops"),
    "subscribers": ("subscribers",),
    "reason": ("reason", "name"),
    "count": ("count", "frames"),
    "objects": ("objects", "sent_objects"),
    "bytes": ("bytes", "sent_bytes"),
}


def pick(record, meaning, default=None):
    """A field of one record, by meaning."""
    for name in NAMES[meaning]:
        if name in record:
            return record[name]
    return default


def rows(reply, key):
    """The records of a reply: {key: [..]}, {key: {name: {..}}} or a list."""
    body = reply.get(key, reply) if isinstance(reply, dict) else reply
    if isinstance(body, dict):
        return [{"name": name, **value} for name, value in body.items() if isinstance(value, dict)]
    return [record for record in body if isinstance(record, dict)]


def peers(reply):
    """{peer name: state} of `show peers`."""
    return {pick(row, "name"): pick(row, "state") for row in rows(reply, "peers")}


def streams(reply):
    """{stream name: record} of `show streams`."""
    return {pick(row, "name"): row for row in rows(reply, "streams")}


def drops(reply):
    """{reason: count} of `show drops`, without the zeroes."""
    body = reply.get("drops", reply)
    if isinstance(body, dict):
        counts = {reason: count for reason, count in body.items() if isinstance(count, int)}
    else:
        counts = {pick(row, "reason"): pick(row, "count", 0) for row in body}
    return {reason: count for reason, count in counts.items() if count}


def latency(reply):
    """(p50, p99) in ns of what chaincast-gen received with monotonic stamps; None without any."""
    for row in reply["latency"]:
        if row["clock"] == "monotonic":
            return row["p50_ns"], row["p99_ns"]
    return None
