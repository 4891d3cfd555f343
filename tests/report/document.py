# SPDX-License-Identifier: BSD-3-Clause
"""The report as Markdown."""

import re

# What a table shows, for those whose name does not say enough.
TITLES = {
    "floods": ("Floods", "Real clients work while each flood runs. `rate` is what the attacker was "
               "told to send per second, `sent` what it sent, `answered` what the engine sent back "
               "to the clients' side, `lost` what the ports lost; latencies are those of the "
               "clients' connect and request."),
    "saturation": ("Saturation", "More than the ports carry: the share of clients served beside "
                   "the share of packets that the port kept."),
    "reflection": ("Reflection", "Bytes out per byte in, frames without padding and FCS, for each "
                   "kind of packet that the engine makes, and the cap per source prefix."),
    "scanners": ("Scanners", "What outside witnesses report of the plain server and of the same "
                 "server behind synfront."),
    "faults": ("Faults", "What was injected, what was counted, what clients saw."),
    "ports": ("Ports", "What was taken from under a port, what the engine said, how it ended."),
    "secrets": ("Secrets", "Unpredictability of what the engine chooses."),
}
FIRST = tuple(TITLES)


def cell(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "%.3g" % value if abs(value) < 100 else "{:,.0f}".format(value)
    if isinstance(value, int):
        return "{:,}".format(value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def table(rows):
    """Rows with the columns of all of them, in the order of their coming."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell(row[name]) if name in row else "–" for name in columns) + " |"


def section(title, *lines):
    yield ""
    yield "## " + title
    yield ""
    yield from lines


def embedded(text):
    """Another document, a level further down, without comments."""
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    yield ""
    yield from re.sub(r"^#", "##", text, flags=re.MULTILINE).strip().splitlines()


def lines_of(data):
    machine = data["machine"]
    yield "# synfront: report of figures"
    yield ""
    yield "%s. %s, %d CPUs, %d MiB, Linux %s, DPDK %s, synfront %s%s." % (
        machine["date"], machine["cpu"], machine["cpus"], machine["memory_mb"], machine["kernel"],
        machine["dpdk"], machine["synfront"], "; long variants" if data["long"] else "")
    yield "Load of the machine before: %.2f." % machine["load_before"]
    if data["taken"]:
        yield "From earlier runs: %s." % ", ".join(data["taken"])
    if data["runs"]:
        yield ""
        yield from table([{"what ran": name, "result": line}
                          for name, line in data["runs"].items()])
    names = [name for name in FIRST if name in data["tables"]]
    names += sorted(set(data["tables"]) - set(FIRST))
    for name in names:
        title, text = TITLES.get(name, (name.replace("_", " ").capitalize(), ""))
        yield from section(title, *([text, ""] if text else []))
        yield from table(data["tables"][name])
    if data.get("conformance"):
        yield from embedded(data["conformance"])
    if data["fuzz"]:
        yield from section("Fuzzing", "Executions %s in %s s of CPU, the last run of each." % (
            cell(sum(row["executions"] for row in data["fuzz"])),
            cell(sum(row["seconds"] for row in data["fuzz"]))), "")
        yield from table(data["fuzz"])
    if data["soak"]:
        yield from embedded(data["soak"])


def markdown(data):
    return "\n".join(lines_of(data)) + "\n"
