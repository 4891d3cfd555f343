# SPDX-License-Identifier: BSD-3-Clause
"""C source as tokens, as far as a change of one token needs it.

Comments, strings, preprocessor lines, static assertions, attributes, and the bodies of
struct, union and enum are not part of the stream: nothing in them is ever changed. Only a
`#define` of a single number is kept apart.
"""
import re
from dataclasses import dataclass

PATTERN = re.compile(r"""
    (?P<space>\s+)
  | (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<directive>(?<![^\n])[ \t]*\#(?:[^\n\\]|\\.)*)
  | (?P<string>L?"(?:[^"\\\n]|\\.)*")
  | (?P<char>'(?:[^'\\\n]|\\.)*')
  | (?P<number>(?:0[xX][0-9a-fA-F]+|\d[\d.]*(?:[eE][+-]?\d+)?)[uUlLfF]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.X | re.S)
DEFINE = re.compile(r"[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+\(?(\d\w*)\)?[ \t]*(?:/\*.*)?$", re.S)
CLOSERS = {"(": ")", "[": "]", "{": "}"}


@dataclass
class Token:
    kind: str   # number, name, op
    text: str
    start: int  # offset in the file
    function: str = ""  # the function or table it stands in; "" outside of all

    @property
    def end(self):
        return self.start + len(self.text)


@dataclass
class Source:
    text: str
    tokens: list
    defines: list  # (name, Token of its number)
    enumerators: list  # the names of each enum
    match: dict    # index of a bracket -> index of its partner


def raw_tokens(text):
    tokens, defines = [], []
    at = 0
    while at < len(text):
        found = PATTERN.match(text, at)
        kind, at = found.lastgroup, found.end()
        if kind == "directive":
            define = DEFINE.match(found.group())
            if define:
                defines.append((define.group(1), Token(
                    "number", define.group(2), found.start() + define.start(2), define.group(1))))
        elif kind not in ("space", "comment"):
            tokens.append(Token(kind, found.group(), found.start()))
    return tokens, defines


def brackets(tokens):
    match, stack = {}, []
    for i, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.text in CLOSERS:
            stack.append(i)
        elif token.text in CLOSERS.values() and stack:
            match[i] = stack.pop()
            match[match[i]] = i
    return match


def skipped(tokens, match):
    """Indices of tokens that must stay as they are, and the names of each enum."""
    out, enumerators = set(), []
    for i, token in enumerate(tokens):
        if token.text in ("_Static_assert", "__attribute__", "__asm__"):
            j = i + 1
            while j < len(tokens) and tokens[j].text != "(":
                j += 1
            out.update(range(i, match.get(j, i) + 1))
        elif token.text in ("struct", "union", "enum"):
            j = i + 1
            while j < len(tokens) and tokens[j].kind == "name":
                j = match.get(j + 1, j + 1) + 1 if tokens[j].text == "__attribute__" else j + 1
            if j < len(tokens) and tokens[j].text == "{":
                out.update(range(i, match[j] + 1))
                if token.text == "enum":
                    enumerators.append([
                        t.text for k, t in enumerate(tokens[j + 1:match[j]], j + 1)
                        if t.kind == "name" and tokens[k - 1].text in ("{", ",")])
    return out, enumerators


def name_functions(tokens, match):
    """Set Token.function: of the body that follows `name (...)`, or the table `name[] =`."""
    i, table = 0, ""
    while i < len(tokens):
        text = tokens[i].text
        if text == "(" and i and tokens[i - 1].kind == "name" and i in match:
            close = match[i]
            if close + 1 < len(tokens) and tokens[close + 1].text == "{" and \
                    close + 1 in match:
                for token in tokens[i:match[close + 1] + 1]:
                    token.function = tokens[i - 1].text
                i = match[close + 1] + 1
                continue
            i = close + 1
            continue
        if text == "=":
            j = i - 1
            while j > 0 and tokens[j].text == "]":
                j = match[j] - 1
            table = tokens[j].text
        elif text == "{" and i in match:
            if i and tokens[i - 1].text == "=":
                for token in tokens[i:match[i] + 1]:
                    token.function = table
            i = match[i] + 1
            continue
        i += 1


def read(text):
    tokens, defines = raw_tokens(text)
    match = brackets(tokens)
    skip, enumerators = skipped(tokens, match)
    kept = [t for i, t in enumerate(tokens) if i not in skip]
    match = brackets(kept)
    name_functions(kept, match)
    return Source(text, kept, defines, enumerators, match)
