# SPDX-License-Identifier: BSD-3-Clause
"""Which programs the Python files of the tree start, and which modules they import.

Where a process is started (STARTERS), the words of its command are followed to where they
come from: literals, variables, attributes, what functions return. If they come from a
parameter, the function is itself one that starts processes, and its callers are looked at
in the same way, until there is no new one. A command whose program cannot be found by this
is a complaint, unless who calls the function is not certain either.
"""

import ast
import collections
import itertools
import os

from definitions import Parameter, Reader, identifier, parameters, scope_module
from line import HOLE, REST, started

# Functions that start a process: at which argument its command begins, and as what:
# a "list" of words, one word after the other ("words"), a text for a "shell", or a "name"
# that is only looked for.
STARTERS = {
    **{("subprocess", name): (0, "list")
       for name in ("run", "Popen", "call", "check_call", "check_output")},
    **{("os", name): (0, "name") for name in ("execv", "execvp", "execve", "execvpe")},
    **{("os", name): (0, "words") for name in ("execl", "execlp")},
    **{("os", name): (0, "shell") for name in ("system", "popen")},
    ("os", "posix_spawn"): (0, "name"), ("os", "posix_spawnp"): (0, "name"),
    ("subprocess", "getoutput"): (0, "shell"), ("subprocess", "getstatusoutput"): (0, "shell"),
    ("asyncio", "create_subprocess_exec"): (0, "words"),
    ("asyncio", "create_subprocess_shell"): (0, "shell"),
    ("pty", "spawn"): (0, "list"), ("shutil", "which"): (0, "name"),
}
# A path that only its caller knows, by an argument or the environment.
GIVEN = HOLE + "/given"
MANY = 64
DEEP = 12

Runner = collections.namedtuple("Runner", "index kind keyword")


class World:
    """All files together. `programs` and `complaints`: (word, line, file)."""

    def __init__(self, texts):
        self.functions = collections.defaultdict(list)
        self.returned = collections.defaultdict(list)
        self.attributes = collections.defaultdict(list)
        self.bases, self.calls, self.imports, self.asked = {}, [], [], set()
        self.modules = {file: Reader(ast.parse(text, file), file, self).module
                        for file, text in texts.items()}
        self.runners = collections.defaultdict(set)
        self.programs, self.shells, self.complaints = set(), set(), set()
        known = None
        while known != (known := sum(map(len, self.runners.values()))):
            for node, scope, owner in self.calls:
                self.see(node, scope, owner)

    def module(self, name, near):
        """The file that `import name` means in a file, as a scope, or None."""
        found = [file for file in self.modules
                 if os.path.basename(file).removesuffix(".py") == name]
        found.sort(key=lambda file: os.path.dirname(file) != os.path.dirname(near))
        return self.modules[found[0]] if found else None

    # Who is called

    def lineage(self, owner):
        """A class and those that it derives from."""
        found, todo = [], [owner]
        while todo:
            name = todo.pop(0)
            if name not in found:
                found.append(name)
                todo += self.bases.get(name, ())
        return found

    def callees(self, node, scope, owner):
        """The functions of the tree that a call may mean."""
        name = identifier(node.func)
        found = self.functions.get(name, [])
        if isinstance(node.func, ast.Name):
            origin = scope_module(scope).imported.get(name, "").rpartition(".")[0]
            module = self.module(origin, scope.file)
            return [f for f in found if f.file in (scope.file, module and module.file)
                    and (f.owner is None or f.node.name == "__init__")]
        receiver = identifier(node.func.value)
        module = self.module(scope_module(scope).imported.get(receiver), scope.file)
        if module:
            return [f for f in found if f.file == module.file]
        if receiver in ("self", "cls"):
            owners = self.lineage(owner)
        elif receiver == "super":
            owners = self.lineage(owner)[1:]
            found = found + [f for base in owners for f in self.functions.get(base, ())
                             if name == "__init__"]
        else:
            owners = [each for known in self.bases if known.lower() == receiver.lower()
                      for each in self.lineage(known)]
        own = [f for f in found if f.owner in owners]
        return own or [f for f in found if f.owner]

    def may_run(self, node):
        name = identifier(node.func)
        return name == "__init__" or any(
            id(f.node) in self.runners for f in self.functions.get(name, ()))

    # What it is given

    def see(self, node, scope, owner):
        """One call: what it starts by itself, or by a function of the tree."""
        if isinstance(node.func, ast.Name):
            whole = scope_module(scope).imported.get(node.func.id, "")
        elif isinstance(node.func, ast.Attribute):
            whole = "%s.%s" % (identifier(node.func.value), node.func.attr)
        else:
            return
        starter = STARTERS.get(tuple(whole.rpartition(".")[::2]))
        if starter:
            index, kind = starter
            if any(k.arg == "shell" and getattr(k.value, "value", True) for k in node.keywords):
                kind = "shell"
            self.see_command(node, scope, Runner(index, kind, "args"), True)
            return
        callees = self.callees(node, scope, owner) if self.may_run(node) else ()
        for function in callees:
            certain = all(self.runners.get(id(f.node)) for f in callees)
            for runner in list(self.runners.get(id(function.node), ())):
                shift = explicit_self(node, function)
                self.see_command(node, scope, runner._replace(index=runner.index + shift), certain)

    def see_command(self, node, scope, runner, certain):
        arguments = node.args[runner.index:]
        given = [k.value for k in node.keywords if k.arg == runner.keyword]
        if runner.kind == "words":
            choices = self.spread(arguments, scope)
        elif not arguments and not given:
            return
        elif runner.kind == "list":
            choices = self.sequence((given or arguments)[0], scope)
        else:
            choices = [[word] for word in self.words((given or arguments)[0], scope)]
        for words in choices:
            if runner.kind == "shell":
                self.found("shell", words[0], node, scope, certain)
                continue
            for kind, word in started(words):
                self.found(kind, word, node, scope, certain)

    def found(self, kind, word, node, scope, certain):
        if isinstance(word, Parameter):
            self.add_runner(word, "shell" if kind == "shell" else word.kind)
        elif kind == "program":
            self.programs.add((str(word), node.lineno, scope.file))
        elif kind == "shell" and word != HOLE:
            self.shells.add((str(word), node.lineno, scope.file))
        elif certain:
            self.complaints.add((str(word), node.lineno, scope.file))

    def add_runner(self, word, kind):
        function = word.function
        names = [a.arg for a in function.node.args.posonlyargs + function.node.args.args]
        vararg = function.node.args.vararg
        if vararg and vararg.arg == word.name:
            index, kind = len(names), "words"
        else:
            index = names.index(word.name) if word.name in names else len(names) + MANY
        self.runners[id(function.node)].add(
            Runner(index - function.is_method, kind, word.name))

    # What expressions are worth

    def lookup(self, node, scope):
        """Where a name or an attribute gets its value: (expression, scope, whether it is
        added to what was there), or a Parameter; nothing of what it is just being asked for."""
        found = self.assigned_to(node, scope)
        return [value for value in found
                if isinstance(value, Parameter) or id(value[0]) not in self.asked]

    def assigned_to(self, node, scope):
        if isinstance(node, ast.Attribute):
            imported = scope_module(scope).imported.get(identifier(node.value))
            module = self.module(imported, scope.file)
            if module:
                return module.assigned.get(node.attr, [])
            return self.attributes.get(node.attr, [])
        at = scope
        while at:
            found = parameters(at.function, node.id) + at.assigned.get(node.id, [])
            if found:
                return found
            at = at.outer
        origin = scope_module(scope).imported.get(node.id, "").rpartition(".")
        module = self.module(origin[0], scope.file)
        return module.assigned.get(origin[2], []) if module else []

    def words(self, node, scope, depth=0):
        """What a word may be."""
        if depth > DEEP:
            return [HOLE]
        deeper = lambda child: self.words(child, scope, depth + 1)
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        if isinstance(node, ast.JoinedStr):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else HOLE
                            for part in node.values)]
        if isinstance(node, ast.BinOp):
            left = deeper(node.left)
            if isinstance(node.op, ast.Mod):
                return [word.replace("%s", HOLE).replace("%d", HOLE) for word in left]
            joint = "/" if isinstance(node.op, ast.Div) else ""
            return [a + joint + b for a in left for b in deeper(node.right)][:MANY]
        if isinstance(node, (ast.IfExp, ast.BoolOp)):
            parts = node.values if isinstance(node, ast.BoolOp) else (node.body, node.orelse)
            every = [word for part in parts for word in deeper(part)]
            return [word for word in every if word not in (HOLE, "None")] or [HOLE]
        if isinstance(node, ast.Call):
            return self.call_words(node, scope, depth)
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.named_words(node, scope, depth)
        if isinstance(node, ast.Subscript) and identifier(node.value) in ("argv", "environ"):
            return [GIVEN]
        return [HOLE]

    def call_words(self, node, scope, depth):
        name, owner = identifier(node.func), identifier(getattr(node.func, "value", None))
        args = node.args
        if name == "join" and owner == "path":
            parts = [self.words(arg, scope, depth + 1) for arg in args]
            return ["/".join(chosen) for chosen in itertools.product(*parts)][:MANY]
        # Of a copy it matters what was copied.
        if name in ("abspath", "realpath", "str", "fspath", "Path", "copy", "copy2") and args:
            return self.words(args[0], scope, depth + 1)
        if name in ("getenv", "get") and owner in ("os", "environ"):
            return self.words(args[1], scope, depth + 1) if args[1:] else [GIVEN]
        results = self.returned.get(name, ())
        return [word for value, inner in results for word in self.words(value, inner, depth + 1)] \
            or [HOLE]

    def named_words(self, node, scope, depth):
        if isinstance(node, ast.Attribute) and identifier(node.value) == "sys" \
                and node.attr == "executable":
            return ["python3"]
        if isinstance(node, ast.Attribute) and self.is_command_line(node.value, scope):
            return [GIVEN]
        out = []
        for value in self.lookup(node, scope):
            if isinstance(value, Parameter):
                out.append(value)
                continue
            self.asked.add(id(value[0]))
            out += self.words(value[0], value[1], depth + 1)
            self.asked.discard(id(value[0]))
        return out[:MANY] or [HOLE]

    def is_command_line(self, node, scope):
        """Whether an expression is what argparse made of this process's own arguments."""
        return isinstance(node, ast.Name) and any(
            not isinstance(value, Parameter) and identifier(value[0]) == "parse_args"
            for value in self.lookup(node, scope))

    def sequence(self, node, scope, depth=0):
        """What a list of words may be."""
        if depth > DEEP:
            return [[REST]]
        deeper = lambda child: self.sequence(child, scope, depth + 1)
        if isinstance(node, (ast.Tuple, ast.List)):
            return self.spread(node.elts, scope, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return [a + b for a in deeper(node.left) for b in deeper(node.right)][:MANY]
        if isinstance(node, (ast.IfExp, ast.BoolOp)):
            parts = node.values if isinstance(node, ast.BoolOp) else (node.body, node.orelse)
            return [words for part in parts for words in deeper(part)]
        if isinstance(node, ast.Call):
            name = identifier(node.func)
            if name in ("list", "tuple", "sorted") and node.args:
                return deeper(node.args[0])
            if name == "split" and isinstance(node.func, ast.Attribute):
                return [word.split() for word in self.words(node.func.value, scope, depth + 1)]
            if name in self.returned:
                return [words for value, inner in self.returned[name]
                        for words in self.sequence(value, inner, depth + 1)][:MANY]
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [[node.value]]
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.named_sequence(node, scope, depth)
        return [[REST]]

    def named_sequence(self, node, scope, depth):
        out = []
        for value in self.lookup(node, scope):
            if isinstance(value, Parameter):
                kind = "words" if value == REST else "list"
                out.append([Parameter(REST, value.function, value.name, kind)])
                continue
            expression, inner, more = value
            self.asked.add(id(expression))
            choices = self.sequence(expression, inner, depth + 1)
            self.asked.discard(id(expression))
            out = [a + b for a in out for b in choices][:MANY] if more and out else out + choices
        return out[:MANY] or [[REST]]

    def spread(self, nodes, scope, depth=0):
        """Words one after the other, some of which may be lists with a star."""
        parts = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                parts.append(self.sequence(node.value, scope, depth + 1))
            else:
                parts.append([[word] for word in self.words(node, scope, depth + 1)])
        chosen = itertools.islice(itertools.product(*parts), MANY)
        return [[word for words in choice for word in words] for choice in chosen]


def explicit_self(node, function):
    """1 if a method is called on its class, with the object as the first argument."""
    receiver = identifier(getattr(node.func, "value", None))
    return int(function.is_method and receiver != "" and receiver == function.owner)
