# SPDX-License-Identifier: BSD-3-Clause
"""Capture files of every kind, and runs of synfront-pcap over them."""
import json
import os
import struct
import subprocess
import sys
import tempfile

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden")
sys.path.insert(0, GOLDEN)
import wire  # noqa: E402

KINDS = [order + unit for order in ("little", "big") for unit in ("", " nanoseconds", " pcapng")]
ENDS_EARLY = 4  # exit status of a run to the last whole record
START_S = 1_700_000_000
CLIENT, SERVER = b"\xc0\x00\x02\x0a", b"\xc6\x33\x64\x0a"
MACS = {"dmac": b"\x02\0\0\0\0\x01", "smac": b"\x02\0\0\0\0\x02"}
CONFIG = """
ports:
  outside: {device: net_null0}
  inside: {device: net_null1}
memory: {connections: 1k, half_open: 64, backends: 16, paths: 16, sources: 1k, held_connections: 16}
services:
  - {name: web, addresses: 198.51.100.0/24, ports: 80, mode: proxy}
  - {name: other, addresses: 198.51.100.0/24, ports: 9000, mode: bypass}
"""


def segment(flags, seq=1000, ack=0, **keys):
    """A frame of the client's, or with `server` of the server's."""
    server = keys.pop("server", False)
    ends = {"src": SERVER, "dst": CLIENT} if server else {"src": CLIENT, "dst": SERVER}
    port = keys.pop("port", 80)
    ports = {"sport": port, "dport": 40000} if server else {"sport": 40000, "dport": port}
    return wire.encode(dict(MACS, **ends, **ports, flags=wire.flags_of(flags), seq=seq, ack=ack,
                            win=64240, ttl=63, id=7, **keys))


def arp():
    """A frame that crosses, whatever the engine does."""
    return b"\xff" * 6 + MACS["smac"] + b"\x08\x06" + b"\0" * 46


def capture(frames, kind="little", snap=None):
    """The file of [(time in us, frame)]; of each frame at most `snap` bytes are kept."""
    order = "<" if kind.startswith("little") else ">"
    if kind.endswith("pcapng"):
        out = struct.pack(order + "IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
        out += struct.pack(order + "IIHHII", 1, 20, 1, 0, 0, 20)
    else:
        magic = 0xA1B23C4D if kind.endswith("nanoseconds") else 0xA1B2C3D4
        out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap or 262144, 1)
    for at_us, frame in frames:
        kept = frame[:snap]
        if kind.endswith("pcapng"):
            size = 32 + (len(kept) + 3) // 4 * 4
            out += struct.pack(order + "IIIIIII", 6, size, 0, at_us >> 32, at_us & 0xFFFFFFFF,
                               len(kept), len(frame))
            out += kept + b"\0" * (size - 32 - len(kept)) + struct.pack(order + "I", size)
            continue
        part = at_us % 1000000 * (1000 if kind.endswith("nanoseconds") else 1)
        out += struct.pack(order + "IIII", at_us // 1000000, part, len(kept), len(frame)) + kept
    return out


class Run:
    """One run: status, what it said, frames that left by side, counters."""

    def __init__(self, program, outside=b"", inside=b"", args=(), config=CONFIG, stdin=None):
        with tempfile.TemporaryDirectory(prefix="programs-") as work:
            command = [program, "--config", work + "/config", "--counters", work + "/counters"]
            for name, data in (("config", config.encode()), ("outside", outside),
                               ("inside", inside)):
                if data:
                    with open(os.path.join(work, name), "wb") as file:
                        file.write(data)
            for side, data in (("outside", outside), ("inside", inside)):
                command += ["--" + side, "%s/%s" % (work, side)] if data else []
                command += ["--write-" + side, "%s/left-%s" % (work, side)]
            # Whoever goes through a gap of years step by step does not end in this time.
            done = subprocess.run(command + list(args), capture_output=True, input=stdin,
                                  timeout=280, check=False)
            self.status, self.said = done.returncode, done.stderr.decode()
            self.left, self.counters = {}, {}
            if self.status in (0, ENDS_EARLY):
                self.left = {side: wire.pcap_read("%s/left-%s" % (work, side))
                             for side in ("outside", "inside")}
                with open(work + "/counters", encoding="ascii") as file:
                    self.counters = json.load(file)

    def count(self, name):
        return self.counters.get(name, 0)
