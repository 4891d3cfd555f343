# SPDX-License-Identifier: BSD-3-Clause
"""The sabotages: what may be changed in a file, each as the replacement of one stretch of text."""
import hashlib
import re
from dataclasses import dataclass

import lexer

COMPARE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
LOGIC = {"&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+", "&": "|", "|": "&", "<<": ">>", ">>": "<<"}
ASSIGN = {"+=": "-=", "-=": "+=", "|=": "&=", "&=": "|="}
STEP = {"++": "--", "--": "++"}
PAIRS = [("true", "false"), ("SIDE_OUTSIDE", "SIDE_INSIDE"), ("TCP_SYN", "TCP_ACK"),
         ("TCP_FIN", "TCP_RST"), ("client_nxt", "server_nxt"), ("client_lag", "server_lag"),
         ("client_port_be", "server_port_be"), ("client_wscale", "server_wscale")]
SWAPS = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
# Calls and names that change speed, a log line or the order of memory, and no answer.
QUIET = re.compile(r"prefetch|^log_|^rte_pause$|^nanosleep$|^explicit_bzero$|^wipe_|unreachable|"
                   r"^rte_rcu_|^CU_|^assert$|_ATOMIC_|^NULL$|^RTE_|^UINT|^INT|^EOF$|^E[A-Z]+$")
KEYWORDS = {"return", "case", "sizeof", "goto", "else", "do"}
CONSTANT = re.compile(r"[A-Z][A-Z0-9]*_\w*$")
# How often a kind is drawn, against the others.
WEIGHTS = {"constant": 0.4, "swap": 0.5, "arithmetic": 0.7}


@dataclass
class Mutation:
    path: str      # from the top of the tree
    start: int
    end: int
    new: str
    kind: str
    function: str
    line: int
    before: str    # the line or lines, without needless space
    after: str
    occurrence: int = 1  # of several that read the same in the same function

    @property
    def key(self):
        """What stays the same when other lines, or the file's folder, change."""
        again = "" if self.occurrence == 1 else " #%d" % self.occurrence
        return "%s %s%s: `%s` -> `%s`" % (
            self.path.rsplit("/", 1)[-1], self.function, again, self.before, self.after)

    def apply(self, text):
        return text[:self.start] + self.new + text[self.end:]


def squeeze(text):
    """Without comments, and with one space for any; a quote would end a key."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"/\*.*$|^.*?\*/", "", text, flags=re.S)
    return " ".join(text.replace("`", "'").split())


class Finder:
    """All mutations of one file."""

    def __init__(self, path, source, following):
        self.path, self.source, self.following = path, source, following
        self.tokens, self.match = source.tokens, source.match
        self.found = []

    def add(self, kind, start, end, new, function):
        text = self.source.text
        top = text.rfind("\n", 0, start) + 1
        bottom = text.find("\n", end)
        if "prefetch" in text[top:bottom].lower() or re.match(r"\s*log_", text[top:bottom]):
            return
        self.found.append(Mutation(
            self.path, start, end, new, kind, function, text.count("\n", 0, start) + 1,
            squeeze(text[top:bottom]), squeeze(text[top:start] + new + text[end:bottom])))

    def at(self, i):
        return self.tokens[i].text if 0 <= i < len(self.tokens) else ""

    def is_binary(self, i):
        before = self.tokens[i - 1]
        return before.kind == "number" or before.text in (")", "]") or (
            before.kind == "name" and before.text not in KEYWORDS)

    def is_hint(self, i):
        """Is this the last argument of __builtin_expect()?"""
        return self.at(i + 1) == ")" and i + 1 in self.match and \
            self.at(self.match[i + 1] - 1) in ("__builtin_expect", "__builtin_prefetch")

    def number(self, token, function):
        digits = re.match(r"0[xX][0-9a-fA-F]+|\d+(?![\d.])", token.text)
        if not digits or "." in token.text:
            return
        value, suffix = int(digits.group(), 0), token.text[digits.end():]
        for other in (value + 1, value - 1):
            if other >= 0:
                text = hex(other) if digits.group().lower().startswith("0x") else str(other)
                self.add("constant", token.start, token.end, text + suffix, function)

    def operator(self, i, token):
        text = token.text
        for kind, table in (("compare", COMPARE), ("logic", LOGIC), ("assign", ASSIGN),
                            ("step", STEP)):
            # A loop that counts the wrong way is noticed by anybody.
            if text in table and not (kind == "step" and self.at(i + 1) == ")"):
                self.add(kind, token.start, token.end, table[text], token.function)
        if text in ARITHMETIC and self.is_binary(i):
            self.add("arithmetic", token.start, token.end, ARITHMETIC[text], token.function)
        if text in LOGIC:
            left, right = self.operand(i, -1), self.operand(i, 1)
            self.add("cap", token.start, self.tokens[right].end, "", token.function)
            self.add("cap", self.tokens[left].start, token.end, "", token.function)
        if text == "!" or text == "~":
            self.add("negate", token.start, token.end, "", token.function)

    def operand(self, i, step):
        """Index of the last token of the operand on one side of && or ||."""
        end = i + step
        while True:
            text = self.at(end)
            if text in ("(", "[", "{") if step > 0 else text in (")", "]", "}"):
                end = self.match[end]
            behind = self.at(end + step)
            if behind in ("&&", "||", "?", ":", ";", ",", "=", "return", "", ")", "]", "}",
                             "(", "[", "{", "|=", "&="):
                opens = behind in ("(", "[", "{") if step > 0 else behind in (")", "]", "}")
                if not opens:
                    return end
            end += step

    def name(self, i, token):
        text = token.text
        if QUIET.search(text):
            return
        if text in SWAPS:
            self.add("swap", token.start, token.end, SWAPS[text], token.function)
        elif CONSTANT.match(text) and self.at(i + 1) not in ("(", "##"):
            other = self.following.get(text)
            self.add("swap" if other else "constant", token.start, token.end,
                     other or "(%s + 1)" % text, token.function)
        if text in ("if", "while") and self.at(i + 1) == "(" and self.at(i - 1) != "}":
            opening, closing = self.tokens[i + 1], self.tokens[self.match[i + 1]]
            inside = self.source.text[opening.end:closing.start]
            self.add("negate", opening.end, closing.start, "!(" + inside + ")", token.function)
            if text == "if":
                self.add("never", opening.end, closing.start, "0", token.function)

    def statement(self, i):
        """Drop the statement that begins here, if it is a call or an assignment."""
        first = self.tokens[i]
        if first.kind != "name" and first.text not in ("*", "++", "--") or \
                first.text in KEYWORDS or \
                first.text in ("if", "while", "for", "switch", "break", "continue", "default"):
            return
        if QUIET.search(first.text):
            return
        end, assigns = i, False
        while self.at(end) not in (";", ""):
            if self.at(end) in ("{", "}"):
                return
            assigns = assigns or self.at(end) in ("=", "++", "--") or self.at(end) in ASSIGN
            if end in self.match and end < self.match[end]:
                end = self.match[end]
            end += 1
        if self.at(end) == "":
            return
        second = self.at(i + 1)
        is_call = second == "(" and self.match[i + 1] == end - 1
        declares = second == "*" or (i + 1 < len(self.tokens) and
                                     self.tokens[i + 1].kind == "name")
        if is_call or (assigns and not (first.kind == "name" and declares)):
            self.add("call" if is_call else "assignment", first.start, self.tokens[end].start,
                     "(void)0", first.function)

    def begins(self, i):
        if self.at(i - 1) in (";", "{", "}", "else", "do"):
            return True
        if self.at(i - 1) == ")" and i - 1 in self.match:
            return self.at(self.match[i - 1] - 1) in ("if", "while", "for")
        return self.at(i - 1) == ":" and self.at(i - 3) in ("case", ":")

    def run(self):
        for i, token in enumerate(self.tokens):
            if not token.function:
                continue
            if token.kind == "number":
                if not self.is_hint(i):
                    self.number(token, token.function)
            elif token.kind == "name":
                self.name(i, token)
            elif token.kind == "op":
                self.operator(i, token)
            if self.begins(i):
                self.statement(i)
        for name, token in self.source.defines:
            if not QUIET.search(name):
                self.number(token, name)
        return self.found


def following_of(sources):
    """Each enumerator's next one in its enum, round about."""
    following = {}
    for source in sources:
        for names in source.enumerators:
            names = [n for n in names if CONSTANT.match(n) and not n.endswith("_COUNT")]
            if len(names) > 1:
                following.update(zip(names, names[1:] + names[:1]))
    return following


def find(paths, read):
    """All mutations of these files, in a fixed order. `read` gives a path's text."""
    sources = {path: lexer.read(read(path)) for path in sorted(paths)}
    following = following_of(sources.values())
    out, seen = [], {}
    for path, source in sources.items():
        for mutation in Finder(path, source, following).run():
            if mutation.before == mutation.after:
                continue
            seen[mutation.key] = seen.get(mutation.key, 0) + 1
            mutation.occurrence = seen[mutation.key]
            out.append(mutation)
    return out


def draw(mutations, seed, count):
    """`count` of them. Each one's lot depends on the seed and its key alone, so that an edit
    somewhere changes little of what is drawn elsewhere."""
    def lot(mutation):
        digest = hashlib.sha256(("%s|%s" % (seed, mutation.key)).encode()).digest()
        uniform = (int.from_bytes(digest[:8], "big") + 1) / 2.0 ** 64
        return uniform ** (1 / WEIGHTS.get(mutation.kind, 1.0))

    return sorted(mutations, key=lot, reverse=True)[:count]
