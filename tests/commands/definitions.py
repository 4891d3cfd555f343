# SPDX-License-Identifier: BSD-3-Clause
"""What a Python file defines, assigns, imports and calls, for of_python.py."""

import ast
import collections

from line import HOLE, REST

Function = collections.namedtuple("Function", "name node file owner scope is_method")


class Parameter(str):
    """A word, or words, that a function was given."""

    def __new__(cls, text, function, name, kind):
        self = super().__new__(cls, text)
        self.function, self.name, self.kind = function, name, kind
        return self


class Scope:
    """A module or a function: what its names are assigned, and the scope around it."""

    def __init__(self, outer=None, function=None, file=None):
        self.outer, self.function = outer, function
        self.file = file or outer.file
        self.assigned = collections.defaultdict(list)
        self.imported = {}


def identifier(node):
    """The last name of an expression such as `self.lab` or `super()`."""
    if isinstance(node, ast.Call):
        node = node.func
    return getattr(node, "attr", getattr(node, "id", ""))


class Reader(ast.NodeVisitor):
    """Collects what a file defines, assigns and calls."""

    def __init__(self, tree, file, world):
        self.world = world
        self.scope = self.module = Scope(file=file)
        self.owner = None
        self.visit(tree)

    def visit_Import(self, node):
        for alias in node.names:
            self.module.imported[alias.asname or alias.name.partition(".")[0]] = alias.name
            self.world.imports.append((alias.name, node.lineno, self.scope.file))

    def visit_ImportFrom(self, node):
        self.world.imports.append((node.module, node.lineno, self.scope.file))
        for alias in node.names:
            self.module.imported[alias.asname or alias.name] = node.module + "." + alias.name

    def visit_ClassDef(self, node):
        outer, self.owner = self.owner, node.name
        self.world.bases[node.name] = [identifier(base) for base in node.bases]
        self.generic_visit(node)
        self.owner = outer

    def visit_FunctionDef(self, node):
        static = any(identifier(d) == "staticmethod" for d in node.decorator_list)
        owner = None if self.scope.function else self.owner
        for child in node.decorator_list:
            self.visit(child)
        self.define(node, node.name, owner, owner is not None and not static, node.body)

    def define(self, node, name, owner, is_method, body):
        """A function or a lambda."""
        function = Function(name, node, self.scope.file, owner, Scope(self.scope), is_method)
        function.scope.function = function
        self.world.functions[owner if name == "__init__" else name].append(function)
        for child in filter(None, node.args.defaults + node.args.kw_defaults):
            self.visit(child)
        self.scope = function.scope
        for child in body:
            self.visit(child)
        self.scope = self.scope.outer

    def visit_Lambda(self, node, name="lambda"):
        self.define(node, name, None, False, [ast.Return(node.body)])

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Return(self, node):
        if node.value is not None and self.scope.function:
            self.world.returned[self.scope.function.name].append((node.value, self.scope))
        self.generic_visit(node)

    def assign(self, target, value, more=False):
        if isinstance(target, ast.Name):
            is_class_body = self.owner and self.scope.function is None
            table = self.world.attributes if is_class_body else self.scope.assigned
            table[target.id].append((value, self.scope, more))
        elif isinstance(target, ast.Attribute):
            self.world.attributes[target.attr].append((value, self.scope, more))
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = getattr(value, "elts", None) or [value] * len(target.elts)
            for part, each in zip(target.elts, values):
                self.assign(part, each)

    def visit_Assign(self, node):
        for target in node.targets:
            self.assign(target, node.value)
            self.visit(target)
        if isinstance(node.value, ast.Lambda):
            self.visit_Lambda(node.value, identifier(node.targets[0]))
        else:
            self.visit(node.value)

    def visit_AugAssign(self, node):
        self.assign(node.target, node.value, more=True)
        self.generic_visit(node)

    def visit_For(self, node):
        for each in getattr(node.iter, "elts", ()):
            self.assign(node.target, each)
        self.generic_visit(node)

    def visit_Call(self, node):
        self.world.calls.append((node, self.scope, self.owner))
        self.generic_visit(node)


def scope_module(scope):
    while scope.outer:
        scope = scope.outer
    return scope


def parameters(function, name):
    """The parameter of a function that has a name, in a list, or none."""
    if function is None:
        return []
    args = function.node.args
    if args.vararg and args.vararg.arg == name:
        return [Parameter(REST, function, name, "words")]
    names = [a.arg for a in args.posonlyargs + args.args + args.kwonlyargs]
    return [Parameter(HOLE, function, name, "name")] if name in names else []
