# SPDX-License-Identifier: BSD-3-Clause
"""What outside witnesses report of a server behind synfront, beside what they report
of the same server without. Each difference is explained here, or the test fails; so
it does for an explanation of what does not differ."""

import fnmatch

from bench import thorough
from engines import Synfront, Wire
from scanners import all_reports
from servers import Server, echo

BRINGS_ENGINES = True

# Ports of services with a server and without one, and a port of no service.
WEB, OPEN, EMPTY, OUTSIDE = 80, 7000, 7001, 6998

# (tool and probe, item): why. Both are patterns.
WINDOW = "until its server has answered, a client may send what is held for it: hold_bytes"
PADDED = "the answer is padded to the 60 bytes of an Ethernet frame, and hping3 counts those"
NO_ECN = "a split handshake negotiates no ECN"
SCALE = "without timestamps nothing brings back the scale that was promised: it is always 7"
FLAGS = "no such segment exists (no ACK, SYN or RST, or SYN with FIN): dropped by name, whatever " \
        "the port; Linux answers for a closed one"
LOW_MSS = "an MSS of 265 is below that of every cookie that grants SACK: see lib/cookie/cookie.h"
SYN_ACK = "a SYN-ACK that belongs to no connection of the server's own is a reflection: dropped"
EXPLAINED = {
    ("hping3 -S", "port 80"): WINDOW + "; " + PADDED,
    ("hping3 -S --tcp-timestamp", "port 80"): WINDOW,
    ("hping3 -A", "port *"): PADDED,
    ("hping3 -F", "port 7001"): FLAGS,
    ("hping3 -FPU", "port 7001"): FLAGS,
    ("hping3 -SF", "port 7001"): FLAGS,
    ("hping3 with no flags", "port 7001"): FLAGS,
    ("hping3 -SA", "port *"): SYN_ACK,
    ("nmap -sF", "IPv? port 7001"): FLAGS,
    ("nmap -sN", "IPv? port 7001"): FLAGS,
    ("nmap -sX", "IPv? port 7001"): FLAGS,
    ("nmap -O", "IPv4 WIN.W?"): WINDOW,
    ("nmap -O", "IPv4 ECN.W"): WINDOW,
    ("nmap -O", "IPv4 ECN.CC"): NO_ECN,
    ("nmap -O", "IPv4 ECN.O"): SCALE,
    ("nmap -O", "IPv4 OPS.O6"): LOW_MSS,
    ("nmap -O", "IPv6 S?"): WINDOW,
    ("nmap -O", "IPv6 TECN"): WINDOW + "; " + NO_ECN + "; " + SCALE,
    ("zmap", "port * window"): WINDOW,
}


def explain(probe, item):
    return [key for key in EXPLAINED
            if fnmatch.fnmatchcase(probe, key[0]) and fnmatch.fnmatchcase(item, key[1])]


@thorough
def test_scanners(bench):
    """nmap -sS -sA -sN -sF -sX -O, masscan, zmap, hping3: plain and behind."""
    bench.nginx()
    bench.keep(Server(bench.lab, OPEN, echo))
    bench.engine(Wire())
    plain = all_reports(bench.lab, (WEB, OPEN), (EMPTY, OUTSIDE))
    bench.engine(Synfront(bench.config(), instance="scanned"))
    for port in (WEB, OPEN):
        bench.teach(port)
        bench.teach(port, 6)
    behind = all_reports(bench.lab, (WEB, OPEN), (EMPTY, OUTSIDE))
    used, unexplained = set(), []
    for probe, item in sorted(plain.keys() | behind.keys()):
        pair = [reports.get((probe, item), "–") for reports in (plain, behind)]
        if pair[0] == pair[1]:
            continue
        keys = explain(probe, item)
        used.update(keys)
        if not keys:
            unexplained.append("%s, %s: plain %s, behind %s" % (probe, item, *pair))
        bench.record("scanners", tool=probe.split()[0], probe=probe, item=item, plain=pair[0],
                     behind=pair[1], explanation=EXPLAINED[keys[0]] if keys else "none")
    bench.record("scanners", tool="all", probe="", item="reports compared", plain=len(plain),
                 behind=len(behind), explanation="those not listed are the same")
    assert not unexplained, "unexplained:\n" + "\n".join(unexplained)
    idle = set(EXPLAINED) - used
    assert not idle, "explained, and not different: %s" % sorted(idle)
