# SPDX-License-Identifier: BSD-3-Clause
"""What happens in a soak, and when: floods, reloads, flaps of a server, faults.

A minute is a round. In each there is one flood of 20 s, the server of one service
is away for some seconds, two faults happen (one of them in the flood), and the configuration is
replaced some six times, at times by a file that must be refused.
"""

import itertools
import random

ROUND = 60
FLOOD_BEGIN, FLOOD_SECONDS = 8, 20
FAULT_IN_FLOOD, FAULT_IN_CALM = 18, 50
FLAP_BEGIN = 34
RELOAD_EVERY = 9

# Mixture, packets in a second, ports.
FLOODS = (("SYN", 20000, (80,)), ("SYN and ACK", 30000, (80, 443)), ("SYN", 20000, (7300, 80)),
          ("ACK", 20000, (80, 7000)), ("SYN", 40000, (80,)), ("SYN and ACK", 20000, (80, 7300)))
FAULTS = (("stop", 1.0), ("server's link", 0.5), ("telemetry", 20.0), ("inside port", 0.5),
          ("client's link", 0.5), ("stop", 2.0), ("outside port", 0.5))
# How the server of the flapping service goes: its process is killed, or what comes is dropped.
FLAPS = (("killed", 6.0), ("silent", 8.0))

# What a reload changes: what stands before "# soak: NAME".
CHANGES = {
    "web": ("half_open: { high: 256, low: 64 }", "half_open: { high: 512, low: 64 }",
            "half_open: { high: 128, low: 32 }"),
    "calm": ("half_open: { high: 128, low: 32 }", "half_open: { high: 64, low: 8 }"),
    "flap": ("max_connections: 10k", "max_connections: 20k", "max_new_per_s: 5k"),
    "retries": ("syn_ack_retries: 2", "syn_ack_retries: 1", "syn_ack_retries: 3"),
    "reflection": ("per_net_per_s: 10k", "per_net_per_s: 20k", "per_net_per_s: 0"),
    "idle": ("idle: 2m", "idle: 90s", "idle: 3m"),
}
WRONG = (("mode: proxy", "mode: nonsense"), ("half_open: 4k", "half_open: 8k"),
         ("ports: [7000-7099]", "ports: [80-90]"), ("services:", "servces:"))
WRONG_EVERY = 5


def make(seconds, seed):
    """The events of a soak as (second, what, arguments), in order of time."""
    draw = random.Random(seed)
    events = []
    floods, flaps, faults = (itertools.cycle(kinds) for kinds in (FLOODS, FLAPS, FAULTS))
    for begin in range(0, int(seconds), ROUND):
        events.append((begin + FLOOD_BEGIN, "flood", next(floods) + (FLOOD_SECONDS,)))
        events.append((begin + FAULT_IN_FLOOD + draw.uniform(-4, 4), "fault", next(faults)))
        events.append((begin + FLAP_BEGIN + draw.uniform(0, 3), "flap", next(flaps)))
        events.append((begin + FAULT_IN_CALM + draw.uniform(-2, 4), "fault", next(faults)))
    second = RELOAD_EVERY / 2
    for number in itertools.count(1):
        if second >= seconds:
            break
        events.append((second, "reload", (number % WRONG_EVERY == 0,)))
        second += draw.uniform(0.6, 1.4) * RELOAD_EVERY
    return sorted(event for event in events if event[0] < seconds)


def changed(text, draw):
    """The configuration with some of its limits drawn anew."""
    lines = []
    for line in text.splitlines():
        setting, mark, name = line.partition("# soak: ")
        if mark:
            indent = line[:len(line) - len(line.lstrip())]
            setting = indent + draw.choice(CHANGES[name.strip()]) + "  "
        lines.append(setting + mark + name)
    return "\n".join(lines) + "\n"


def wrong(text, draw):
    """The configuration with something that must be refused."""
    old, new = draw.choice(WRONG)
    assert old in text, old
    return text.replace(old, new, 1)
