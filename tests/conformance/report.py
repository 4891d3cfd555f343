# SPDX-License-Identifier: BSD-3-Clause
"""The three columns side by side, and whether every difference is explained."""
import collections

from language import COLUMNS, ENGINE

TITLES = {"core": "core, in memory", "wire": "engine, over the wire", "linux": "Linux"}


def squeezed(seen):
    """Runs of the same answer as one with a factor."""
    out = []
    for text in seen:
        if out and out[-1][0] == text:
            out[-1][1] += 1
        else:
            out.append([text, 1])
    return "; ".join(text + (" (x%d)" % n if n > 1 else "") for text, n in out)


class Answers:
    """What came in each column, for one script."""

    def __init__(self, test, results):
        self.test = test
        self.by_turn = collections.defaultdict(dict)  # (family, service) -> column -> result
        linux = {r.family: r for r in results if r.column == "linux"}
        for result in results:
            if result.column in ENGINE:
                self.by_turn[result.family, result.service][result.column] = result
        for (family, _), columns in self.by_turn.items():
            if family in linux:
                columns["linux"] = linux[family]

    def differing(self):
        """Turns in which the engine's answer is not that of Linux."""
        return [turn for turn, columns in self.by_turn.items() if "linux" in columns and any(
            columns[c].seen != columns["linux"].seen for c in ENGINE if c in columns)]

    def torn(self):
        """Turns in which the core's answer is not that of the wire."""
        return [turn for turn, columns in self.by_turn.items() if set(ENGINE) <= set(columns)
                and columns["core"].seen != columns["wire"].seen]

    def rows(self):
        """(families, services, cells), where the same came as one row."""
        rows = collections.OrderedDict()
        for (family, service), columns in sorted(self.by_turn.items()):
            cells = tuple((squeezed(columns[c].seen) or "as said"
                           if not columns[c].error else "FAILS") if c in columns else "-"
                          for c in COLUMNS)
            families, services = rows.setdefault(cells, (set(), []))
            families.add(family)
            if service not in services:
                services.append(service)
        return [(sorted(families), services, cells) for cells, (families, services)
                in rows.items()]


def answers(tests, results):
    by_test = collections.defaultdict(list)
    for result in results:
        by_test[result.test.name].append(result)
    return {test.name: Answers(test, by_test[test.name]) for test in tests}


def undecided(tests, rules, results):
    """Judged on what was run: differences that nothing explains."""
    explained = {name for rule in rules for name in rule.differs}
    out = []
    for name, got in answers(tests, results).items():
        failed = any(r.error for r in results if r.test.name == name)
        if failed:
            continue
        if name not in explained:
            out += ["%s: differs from Linux and no rule says why: IPv%d, %s" % (name, *turn)
                    for turn in got.differing()]
        out += ["%s: core and wire do not agree: IPv%d, %s" % (name, *turn)
                for turn in got.torn()]
    return out


def judge(rules, tests, results):
    """As undecided(), and explanations of nothing."""
    out = undecided(tests, rules, results)
    got = answers(tests, results)
    for rule in rules:
        for name in rule.differs:
            if name in got and not got[name].differing():
                out.append("rule %s explains a difference in %s that there is not"
                           % (rule.name, name))
    return out


def stale(path, text):
    """Is a report that lies there another one?"""
    with open(path, encoding="ascii") as file:
        if file.read() == text:
            return []
    return ["%s is not what came; --report writes it anew" % path]


def table(test, got):
    lines = ["", "`%s`: %s" % (test.name, test.head.get("shows", "")), "",
             "| | %s |" % " | ".join(TITLES[c] for c in COLUMNS), "|---|---|---|---|"]
    for families, services, cells in got.rows():
        who = " and ".join("IPv%d" % f for f in families)
        if services != ["none"]:
            who += ", " + ", ".join(services)
        lines.append("| %s | %s |" % (who, " | ".join(cells)))
    if "because" in test.head:
        lines += ["", "Not in every column: %s." % test.head["because"]]
    return lines


def markdown(rules, tests, results):
    got, by_name = answers(tests, results), {test.name: test for test in tests}
    differing = [name for name, a in got.items() if a.differing()]
    lines = ["<!-- SPDX-License-Identifier: BSD-3-Clause -->",
             "<!-- Written by tests/conformance/run - -report FILE. -->".replace("- -", "--"),
             "# Conformance", "",
             "%d rules, %d tests, %d runs; %d tests in which Linux answers otherwise, each "
             "explained." % (len(rules), len(tests), len(results), len(differing)), "",
             "ISS is the client's first sequence number, IRS that of its peer. A test that "
             "shows several rules stands at the first.", "",
             "| rule | section | level | tests | as Linux |", "|---|---|---|---|---|"]
    for rule in rules:
        other = [name for name in rule.tests if name in differing]
        lines.append("| [%s](#%s) | %s | %s | %s | %s |" % (
            rule.name, rule.name, rule.section, rule.level, len(rule.tests),
            "yes" if not other else "no: " + ", ".join(other)))
    shown = set()
    for rule in rules:
        lines += ["", "## " + rule.name, "", "%s, %s. %s" % (rule.section, rule.level, rule.says)]
        for name in rule.tests:
            if name in shown or name not in by_name:
                lines += ["", "`%s`: see above." % name]
                continue
            shown.add(name)
            lines += table(by_name[name], got[name])
        for name, why in rule.differs.items():
            lines += ["", "*Linux differs in `%s`:* %s" % (name, why)]
    return "\n".join(lines) + "\n"
