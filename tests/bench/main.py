# SPDX-License-Identifier: BSD-3-Clause
"""scripts/bench: all comparisons in one run, one table, JSON and plots."""

import argparse
import os
import sys
import traceback

import nics
import plot
from results import Results
from stage import BUILD, machine

TOPICS = ("ports", "kernel", "proxy", "flood", "growth", "overload", "idle", "scrape", "lists", "adopt", "handoff",
          "wan")


def modules():
    """Topic -> module. They import what scripts/setup installs, and --help and --nic-help come before that."""
    import adopt_packets
    import first_byte
    import growth
    import handoff
    import idle
    import kernel
    import lists
    import overload
    import proxy
    import scrape
    import shared_memory
    import wan
    return dict(zip(TOPICS, (shared_memory, kernel, proxy, first_byte, growth, overload, idle, scrape, lists,
                             adopt_packets, handoff, wan)))


def options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(
        "Measure synfront beside what a user would pick instead; ratios first. No NIC is needed."
        " A missed bar is printed, not an error: the status says whether everything worked."))
    parser.add_argument("topics", nargs="*", metavar="TOPIC",
                        help="of %s; all by default, wan for half an hour" % ", ".join(TOPICS))
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds for each topic, to see that all works; the figures"
                             " mean little")
    parser.add_argument("--out", default=os.path.join(BUILD, "bench"), metavar="DIRECTORY",
                        help="where results.json and the plots go (%(default)s)")
    parser.add_argument("--wan", metavar="KEY=VALUE[+VALUE],...", default="",
                        help="of the topic wan only such cells, e.g. rtt=100,cc=bbr+cubic,size=20M;"
                             " keys: rtt, cc, size, way, timestamps, ip, line, first, rounds, port")
    parser.add_argument("--nic-help", action="store_true",
                        help="how to repeat this with NICs and in a guest, and end")
    found = parser.parse_args()
    for topic in found.topics:
        if topic not in TOPICS:
            parser.error("no such topic: " + topic)
    if found.wan:
        import wan
        try:
            wan.chosen(wan.matrix(), found.wan)
        except ValueError as error:
            parser.error(str(error))
    return found


def main():
    chosen = options()
    if chosen.nic_help:
        print(nics.TEXT)
        return 0
    run = modules()
    about = machine()
    if about["load_before"] > 0.5:
        print("bench: the machine is busy (load %.2f): the figures will be worth less"
              % about["load_before"], file=sys.stderr)
    results = Results(about, chosen.quick)
    print(results.head(), flush=True)
    for name in chosen.topics or TOPICS:
        try:
            more = {"only": chosen.wan} if name == "wan" else {}
            run[name].run(results, chosen.quick, **more)
        except Exception as error:  # one topic that does not work must not cost the others
            traceback.print_exc()
            results.fail(name, error)
    results.write(chosen.out)
    plots = plot.write_all(results.data, chosen.out)
    print(results.summary())
    print("%s: results.json %s" % (chosen.out, " ".join(plots)))
    return 1 if results.data["failed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
