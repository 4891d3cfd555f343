#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A hook that asks the networks before this one for help while a service is flooded, by BGP.

    hook: [/etc/synfront/bgp.py, --service, web=198.51.100.10/32, --least, 500k,
           --next-hop, 192.0.2.1, --community, "64500:666", --exabgp, /run/exabgp/exabgp.in]

When a flood of at least so many SYNs a second begins, the service's own prefix is announced with
that community, and withdrawn when the flood ends. What the community means is for the upstream
to say: bring the traffic through a scrubbing centre (what you want), or drop it all (RTBH: the
attacker has then won, but the rest of the network lives).

With --sources N, up to N of the heaviest source prefixes of the event are dropped by FlowSpec
instead, for this service alone. THE SOURCES OF A SYN FLOOD ARE FORGED as a rule: whoever forges
the addresses of your customers makes you cut them off. So each prefix must have at least --percent of the
flood, must be no shorter than /24 (IPv6: /48), and none of --never is touched.

--gobgp calls the gobgp command, --exabgp writes to the pipe of ExaBGP's API. With neither, what
would be done is printed. What was announced is kept below --state until it is withdrawn.
"""

import argparse
import ipaddress
import json
import os
import subprocess
import sys

SHORTEST = {4: 24, 6: 48}
# A pipe that nobody reads does not hold us up: the hook fails, and the log says so.
PIPE_FLAGS = os.O_WRONLY | os.O_NONBLOCK


def rate(text):
    """500k are 500,000."""
    factor = {"k": 10**3, "M": 10**6}.get(text[-1:], 1)
    return int(text[:-1] if factor > 1 else text) * factor


def service(text):
    name, _, prefix = text.partition("=")
    return name, ipaddress.ip_network(prefix)


def routes(options, prefix):
    """Announcing and withdrawing a route of our own."""
    family = "ipv%d" % prefix.version
    if options.gobgp:
        tail = [str(prefix), "nexthop", options.next_hop, "community", options.community,
                "-a", family]
        return [[verb] + tail for verb in ("add", "del")]
    return ["%s route %s next-hop %s community [%s]" % (
        verb, prefix, options.next_hop, options.community) for verb in ("announce", "withdraw")]


def flows(options, prefix, source):
    """The same for a rule that drops what comes from a source to the service."""
    if options.gobgp:
        rule = ["match", "source", str(source), "destination", str(prefix), "protocol", "tcp",
                "then", "discard", "-a", "ipv%d-flowspec" % prefix.version]
        return [[verb] + rule for verb in ("add", "del")]
    return ["%s flow route source %s destination %s protocol [ tcp ] discard" % (
        verb, source, prefix) for verb in ("announce", "withdraw")]


def sources(options, event, prefix):
    """Those of the event's prefixes that may be dropped."""
    for each in event.get("prefixes", [])[:options.sources]:
        net = ipaddress.ip_network(each["prefix"])
        if net.version == prefix.version and each["percent"] >= options.percent \
                and net.prefixlen >= SHORTEST[net.version] \
                and not any(net.version == other.version and net.overlaps(other)
                            for other in options.never):
            yield net


def pass_on(options, command):
    if isinstance(command, list):
        subprocess.run(["gobgp", "global", "rib", *command], check=True,
                       stdin=subprocess.DEVNULL, timeout=8)
    elif options.exabgp:
        with open(os.open(options.exabgp, PIPE_FLAGS), "w") as pipe:
            pipe.write(command + "\n")
    else:
        print(command, file=sys.stderr)


def begin(options, event, kept):
    prefix = options.service[event["service"]]
    if event.get("observe") or event["syn_per_s"] < options.least:
        return
    pairs = [flows(options, prefix, source) for source in sources(options, event, prefix)] \
        if options.sources else [routes(options, prefix)]
    # Kept first: better one withdrawn that was never announced than the other way.
    with open(kept, "w") as file:
        json.dump([undo for _, undo in pairs], file)
    for announce, _ in pairs:
        pass_on(options, announce)


def end(options, kept):
    try:
        with open(kept) as file:
            commands = json.load(file)
    except FileNotFoundError:
        return
    for command in commands:
        pass_on(options, command)
    os.remove(kept)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service", action="append", type=service, required=True,
                        metavar="NAME=PREFIX", help="whose floods, and what to announce of it")
    parser.add_argument("--least", type=rate, default=100000, help="SYNs a second (100k)")
    parser.add_argument("--next-hop", default="192.0.2.1")
    parser.add_argument("--community", default="65535:666", help="RFC 7999: drop it all")
    parser.add_argument("--sources", type=int, default=0, metavar="N")
    parser.add_argument("--percent", type=float, default=5)
    parser.add_argument("--never", action="append", type=ipaddress.ip_network, default=[],
                        metavar="PREFIX")
    parser.add_argument("--state", default="/var/lib/synfront", metavar="FOLDER")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--exabgp", metavar="PIPE")
    how.add_argument("--gobgp", action="store_true")
    options = parser.parse_args()
    options.service = dict(options.service)

    event = json.load(sys.stdin)
    if event["event"] != "flood" or event["service"] not in options.service:
        return
    kept = os.path.join(options.state, "%s-%s" % (event["instance"], event["service"]))
    if event["state"] == "begin":
        begin(options, event, kept)
    else:
        end(options, kept)


if __name__ == "__main__":
    main()
