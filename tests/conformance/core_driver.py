# SPDX-License-Identifier: BSD-3-Clause
"""First column: the core in memory. Time stands still but where a script lets it go on."""
import collections
import json
import struct
import subprocess

import frames
from listener import Listener

START_US = 1700000760 * 1000000
HEAD = struct.Struct("=QII")
OUTSIDE, INSIDE, DONE, LISTEN, END = range(5)
STEP_US = 100
MAC = {OUTSIDE: bytes.fromhex("020000000c01"), INSIDE: bytes.fromhex("020000000501")}


class CoreDriver:
    """One core, for one run of one script."""

    name = "core"
    own_clock = True

    def __init__(self, program, config):
        self.process = subprocess.Popen((program, config), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.now_us = START_US
        self.queues = collections.defaultdict(collections.deque)
        self.listener = Listener()
        self.raw_hosts = set()
        self.of_fragments = {}
        self.n_out = 0
        self.bad = []
        self.forgives = False  # a client sent wrong checksums: they stay wrong

    def close(self):
        """The counters; complains if they do not add up."""
        if self.process is None:
            return {}
        process, self.process = self.process, None
        process.stdin.write(HEAD.pack(self.now_us, END, 0))
        process.stdin.flush()
        out = process.stdout.read()
        process.stdin.close()
        process.stdout.close()
        if process.wait() != 0:
            self.bad.append("the core's account does not add up")
        return json.loads(out or b"{}")

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.communicate()

    def step(self, kind, data=b"", to_us=None):
        """True if a frame left."""
        self.process.stdin.write(HEAD.pack(to_us or self.now_us, kind, len(data)) + data)
        self.process.stdin.flush()
        replies, some = [], False
        while True:
            head = self.process.stdout.read(HEAD.size)
            if len(head) < HEAD.size:
                raise RuntimeError("the core has ended")
            at_us, side, size = HEAD.unpack(head)
            if side == DONE:
                self.now_us = at_us
                break
            some = True
            self.n_out += 1
            frame = self.process.stdout.read(size)
            packet = frames.decode(frame)
            if packet is None:
                continue
            if "wrong" in packet:
                if not self.forgives:
                    self.bad.append("%s: %s" % (packet["wrong"], frame.hex()))
                continue
            packet["at"] = (at_us - START_US) / 1e6
            if side == INSIDE and packet["dst"] not in self.raw_hosts:
                replies += self.listener.receive(packet)
            else:
                self.queues[frames.flow_of(packet, self.of_fragments)].append(packet)
        for reply in replies:
            self.say(reply)
        return some

    def say(self, fields):
        """A frame of the listener's."""
        for frame in frames.encode(dict(fields, smac=MAC[INSIDE], dmac=MAC[OUTSIDE])):
            self.step(INSIDE, frame)

    # What the play needs

    def now(self):
        return (self.now_us - START_US) / 1e6

    def send(self, side, fields):
        self.now_us += STEP_US
        self.forgives |= bool(frames.SPOILT & set(fields))
        other = INSIDE if side == OUTSIDE else OUTSIDE
        for frame in frames.encode(dict(fields, smac=MAC[side], dmac=MAC[other])):
            self.step(side, frame)

    def register(self, flow, raw):
        if raw:
            self.raw_hosts.add(flow.server)

    def raw_port(self, _service):
        """The service's own: nothing else has used it here."""
        return None

    def get(self, side, flow, within=None):
        """The next packet for one end, or None. Time goes on only if `within` says so."""
        queue = self.queues[flow.key(side)]
        end_us = self.now_us + int((within or 0) * 1e6)
        while not queue:
            if self.now_us >= end_us or not self.step(LISTEN, to_us=end_us):
                return None
        return queue.popleft()

    def quiet(self, _flow, _raw):
        """All that will come of what was sent has come."""

    @staticmethod
    def wait(condition):
        return condition()

    def sleep(self, seconds):
        self.step(DONE, to_us=self.now_us + int(seconds * 1e6))

    def renew(self, key):
        """Another connection from the same ports follows."""

    def app(self, key):
        return self.listener.app(key, self.say)
