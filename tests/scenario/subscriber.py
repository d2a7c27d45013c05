# SPDX-License-Identifier: BSD-3-Clause
"""A subscriber whose objects, losses and bytes a scenario can look at while it runs."""

import json
import signal

from harness import Failure


class Subscriber:
    """chaincastctl subscribe: what it was handed, in order."""

    def __init__(self, node, stream):
        self.node = node
        # No two share a log, or the word of one is taken for the other's.
        taken = len(list(node.scenario.dir.glob(f"{node.name}-reads-{stream}-*.events")))
        self.name = f"{node.name}-reads-{stream}-{taken + 1}"
        self.bytes_file = node.scenario.dir / f"{self.name}.bytes"
        self.events_file = node.scenario.dir / f"{self.name}.events"
        sink = open(self.events_file, "wb")
        node.scenario.defer(sink.close)
        self.process = node.launch(
            node.control_command("--json", "subscribe", stream, "--output", self.bytes_file),
            self.name, stdout=sink)
        node.scenario.until(lambda: self.process.log_has("subscribed"), 30,
                            f"{self.name} to be subscribed", [self.process])

    def events(self):
        """The events so far; a line that is being written is left for later."""
        text = self.events_file.read_text()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def objects(self):
        return [event for event in self.events() if event["event"] == "object"]

    def received_bytes(self):
        return sum(event["bytes"] for event in self.objects())

    def lost_frames(self):
        return sum(event["last_seq"] - event["first_seq"] + 1 for event in self.events()
                   if event["event"] == "lost")

    def wait_bytes(self, count, seconds=40):
        try:
            self.node.scenario.until(lambda: self.received_bytes() >= count, seconds, "bytes",
                                     [self.process, self.node.process])
        except Failure as problem:
            raise Failure(f"{self.name}: {self.received_bytes()} of {count} bytes, "
                          f"{self.lost_frames()} frames lost ({problem})") from None

    def stop(self):
        """Ends it and returns all bytes that it was handed."""
        if self.process.is_running():
            self.process.signal(signal.SIGTERM)
        self.process.wait(15)
        return self.bytes_file.read_bytes()
