# SPDX-License-Identifier: BSD-3-Clause
"""Scanners of Debian as witnesses: what each reports of a server, as
{(tool and probe, item): report}. What differs from run to run is left out."""

import concurrent.futures
import re
import xml.etree.ElementTree

from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6

from lab import CLIENT, SERVER, address

# Of no kernel: masscan is its TCP.
MASSCAN_HOST = 66
AT_ONCE = 4
NMAP_SCANS = ("-sS", "-sA", "-sN", "-sF", "-sX")
HPING_PROBES = ("-S", "-S --tcp-timestamp", "-A", "-F", "", "-FPU", "-SF", "-SR", "-R", "-SA")
# Fields of nmap's fingerprints that are random, or the time, with any one server.
VOLATILE = ("SP", "ISR", "GCD", "TS")
UNPREDICTABLE = 200


def nmap(lab, *argv, family=4):
    out = lab.run("client", "nmap", *(["-6"] if family == 6 else []), "-n", "-Pn", "-oX", "-",
                  *argv, address(SERVER, family), timeout=120)
    return xml.etree.ElementTree.fromstring(out[out.index("<?xml"):])


def nmap_ports(lab, scan, ports, family):
    found = nmap(lab, scan, "-p", ",".join(map(str, ports)), "--max-retries", "1", "--reason",
                 family=family)
    for port in found.iter("port"):
        state = port.find("state")
        report = "%s, %s" % (state.get("state"), state.get("reason"))
        if state.get("reason_ttl") != "0":
            report += ", TTL " + state.get("reason_ttl")
        yield "nmap " + scan, "IPv%d port %s" % (family, port.get("portid")), report


def nmap_system(lab, ports, family):
    """The fingerprint that nmap -O takes of an open and a closed port."""
    found = nmap(lab, "-O", "-d", "--max-os-tries", "1", "-p", ",".join(map(str, ports)),
                 family=family)
    text = found.find("host/os/osfingerprint").get("fingerprint")
    text = text.replace("\nOS:", "").replace("OS:", "", 1).strip()
    for name, fields in re.findall(r"([A-Z0-9]+)\(([^)]*)\)", text):
        if name in ("SCAN", "EXTRA"):
            continue
        if family == 4:
            yield from fingerprint4(name, dict(field.split("=", 1) for field in fields.split("%")))
        else:
            yield "nmap -O", "IPv6 " + name, fingerprint6(fields)


def fingerprint4(test, fields):
    for key, value in fields.items():
        if key == "SP":
            report = "at least %d" % UNPREDICTABLE if int(value, 16) >= UNPREDICTABLE else value
            yield "nmap -O", "IPv4 SEQ.SP", report
        elif key not in VOLATILE:
            yield "nmap -O", "IPv4 %s.%s" % (test, key), value


def fingerprint6(fields):
    """What can be compared of one answer, given as hexadecimal digits: XX for a byte
    of an address, and {n} for the byte before repeated to n in all."""
    digits = re.match(r"P=([0-9a-fX{}]+)", fields)
    if not digits:
        return fields
    whole = re.sub(r"(..)\{(\d+)\}", lambda run: run.group(1) * int(run.group(2)),
                   digits.group(1)).replace("XX", "00")
    packet = IPv6(bytes.fromhex(whole))
    if TCP not in packet:
        return packet.summary()
    tcp = packet[TCP]
    options = ["%s %s" % (name, value) if name in ("MSS", "WScale") else name
               for name, value in tcp.options]
    return "%s window %d hop limit %d [%s]" % (tcp.flags, tcp.window, packet.hlim,
                                               ", ".join(options))


def masscan(lab, ports, family):
    out = lab.run("client", "masscan", "-p", ",".join(map(str, ports)), address(SERVER, family),
                  "--rate", "100", "--wait", "1", "--interface", "eth0",
                  "--adapter-ip", address(MASSCAN_HOST, family), "--adapter-port", "40000",
                  "--adapter-mac", lab.mac("client"), "--router-mac", lab.mac("server"),
                  *(["--router-mac-ipv6", lab.mac("server")] if family == 6 else []), "-oL", "-")
    found = re.findall(r"^(\w+) tcp (\d+) ", out, re.MULTILINE)
    for port in ports:
        states = {state for state, number in found if int(number) == port}
        yield "masscan", "IPv%d port %d" % (family, port), ", ".join(sorted(states)) or "nothing"


def zmap(lab, port):
    fields = ("classification", "success", "window")
    argv = ["zmap", "-q", "-p", str(port), "-i", "eth0", "-G", lab.mac("server"), "-S",
            address(CLIENT), "-c", "1", "-O", "csv", "-f", ",".join(fields),
            "--output-filter=success = 1 || success = 0", "-b", "/dev/null",
            address(SERVER) + "/32"]
    rows = []
    for left in reversed(range(5)):
        try:
            out = lab.run("client", *argv)
        except RuntimeError as error:
            # With a single target it dies now and then (github.com/zmap/zmap/issues/310).
            if not left or "constraint_lookup_index: Assertion" not in str(error):
                raise
            continue
        rows = [line.split(",") for line in out.splitlines() if line.count(",") == len(fields) - 1]
        rows = [row for row in rows if row[0] != fields[0]]
        # On a busy machine it sometimes does not see the answer to its only probe.
        if rows:
            break
    for number, field in enumerate(fields):
        yield "zmap", "port %d %s" % (port, field), rows[0][number] if rows else "nothing"


def hping(lab, probe, port):
    out = lab.run("attacker", "hping3", "-n", "-c", "1", "-p", str(port), *probe.split(),
                  address(SERVER), check=False)
    answer = re.search(r"len=(\d+) .*ttl=(\d+) (DF )?id=(\d+) .*flags=(\w+) .*win=(\d+)", out)
    report = "nothing"
    if answer:
        size, ttl, dont_fragment, ident, flags, window = answer.groups()
        report = "%s, window %s, %s bytes, TTL %s, %s, ID %s" % (
            flags, window, size, ttl, "DF" if dont_fragment else "no DF",
            "0" if ident == "0" else "drawn")
    return "hping3 " + (probe or "with no flags"), "port %d" % port, report


def hpings(lab, ports):
    """One after the other, from a node of their own: hping3 takes any answer of the
    server for the one that it waits for."""
    return [hping(lab, probe, port) for probe in HPING_PROBES for port in ports]


def all_reports(lab, listening, silent):
    """What all of them say. `listening`: ports with a server; `silent`: without."""
    ports = listening + silent
    jobs = [(hpings, (listening[0], silent[0])), (masscan, ports, 4), (masscan, ports, 6)]
    jobs += [(nmap_system, (listening[0], silent[-1]), family) for family in (4, 6)]
    jobs += [(zmap, port) for port in ports]
    jobs += [(nmap_ports, scan, ports, family) for scan in NMAP_SCANS for family in (4, 6)]
    reports = {}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda job: list(job[0](lab, *job[1:])), jobs):
            reports.update({(probe, item): report for probe, item, report in found})
    return reports
