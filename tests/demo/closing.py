# SPDX-License-Identifier: BSD-3-Clause
"""What the demo says at its end: a table, what was counted, and what is not as it should be."""

import collections

from story import latency, of, percent, thousands

# More than this of the worker's time, or of the machine's, is worth a word.
TAKEN_MUCH = 0.02


# Heads of the table, the flooded act of each, and the calm one with the same in its way.
COLUMNS = (("bare server", "bare", "bare-calm"), ("SYN cookies", "cookies", "bare-calm"),
           ("synfront", "flood", "calm"))


def rows(acts):
    """The table."""
    columns = [(head, acts[act], acts[calm]) for head, act, calm in COLUMNS if act in acts]

    def each(what, text):
        return (what,) + tuple(text(act) for _, act, _ in columns)

    return [("",) + tuple(head for head, _, _ in columns),
            each("SYNs in, per second", lambda act: thousands(act.mean("syns"))),
            each("SYN-ACKs out, per second", lambda act: thousands(act.mean("answers"))),
            each("requests in the flood", lambda act: thousands(act.n_requests)),
            each("  answered", lambda act: of(act.n_good, act.n_requests)),
            each("  failed", lambda act: thousands(act.n_failed)),
            each("latency, median / p99", lambda act: latency(act.taken)),
            ("  without a flood",) + tuple(latency(calm.taken) for _, _, calm in columns),
            each("half-open at the server, most", lambda act: thousands(act.most("half_open")))]


def failures(act, where):
    """Of which kinds the failed requests were."""
    kinds = collections.Counter(act.failures).most_common(3)
    told = [kind if len(kinds) == 1 else "%s (%s)" % (kind, thousands(number))
            for kind, number in kinds]
    return "%s requests failed %s: %s." % (thousands(act.n_failed), where, ", ".join(told))


def account(acts, grown, asked_cookies=False):
    """What was counted, in sentences. `grown`: synfront's counters, from before the large flood
    until now. `asked_cookies`: --cookies was given."""
    for key, where in (("bare", "at the bare server"), ("cookies", "by the server's SYN cookies"),
                       ("flood", "behind synfront in the flood"), ("after", "after it")):
        if key in acts and acts[key].n_failed:
            yield failures(acts[key], where)
    flood = acts["flood"]
    lost = max(0, flood.n_sent - flood.n_arrived)
    yield "The attacker sent %s SYNs to synfront, and the ports lost %s of them (%s)." % (
        thousands(flood.n_sent), thousands(lost), percent(lost / max(flood.n_sent, 1)))
    yield "In the flood and after it synfront answered %s of %s SYNs, and opened %s connections" \
        " by cookie. %s SYN-ACKs came back to the attacker." % (
            thousands(grown["syn_ack_sent"]), thousands(grown["syn_received"]),
            thousands(grown["cookies_checked"]), thousands(flood.n_back))
    if "cookies" not in acts and not asked_cookies:
        yield "The server's own SYN cookies were off; --cookies shows them beside synfront."
    if flood.waited is not None and flood.waited > TAKEN_MUCH:
        yield "Other programs of this machine had synfront's CPU for %s of the flood." % percent(
            flood.waited)
    if flood.stolen is not None and flood.stolen > TAKEN_MUCH:
        yield "The host of this virtual machine gave %s of its CPUs' time to others." % percent(
            flood.stolen)
