"""Mutants of a module: each differs from it in one place, as a slip of a programmer's hand would.

Compared, joined, negated, counted, returned, called, passed: conditions change
their operator or lose a part, calls lose an argument, collections an element,
numbers change by one, statements vanish. Words for people, annotations,
docstrings and log lines are left alone.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OTHER = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,), ast.Pow: (ast.Mult,),
}  # fmt: skip
SILENT = ("log", "logging", "warnings")


@dataclass(frozen=True)
class Mutant:
    """One changed place: which, what was there, and what stands there now."""

    module: str
    number: int  # of the change within the module
    line: int
    before: str
    after: str

    @property
    def name(self) -> str:
        return f"{self.module}: {self.before} -> {self.after}"


Edit = tuple[ast.AST, str, int | None, ast.AST | None]  # parent, field, index, what takes the place (None: nothing)


def mutants(module: str, source: str) -> list[tuple[Mutant, str]]:
    """All mutants of a module, each with its source."""
    tree = ast.parse(source)
    found = []
    for number, (parent, field, index, new) in enumerate(list(_edits(tree))):
        held = getattr(parent, field)
        old = held if index is None else held[index]
        changed = _apply(parent, field, index, new)
        source_now = ast.unparse(ast.fix_missing_locations(tree))
        changed()
        line = getattr(old, "lineno", getattr(parent, "lineno", 0))
        found.append((Mutant(module, number, line, _short(old), _short(new)), source_now))
    return found


def _apply(parent: ast.AST, field: str, index: int | None, new: ast.AST | None) -> Callable[[], None]:
    """Change the tree and return what changes it back."""
    held = getattr(parent, field)
    kept = copy.copy(held) if isinstance(held, list) else held
    if index is None:
        setattr(parent, field, new)
    elif new is None:
        del held[index]
    else:
        held[index] = new
    return lambda: setattr(parent, field, kept)


def _edits(tree: ast.AST) -> Iterator[Edit]:
    for parent in _walk(tree):
        for field, held in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list", "type_comment"):
                continue
            for index, node in enumerate(held) if isinstance(held, list) else ((None, held),):
                if isinstance(node, ast.AST):
                    yield from ((parent, field, index, new) for new in _replacements(parent, field, node))
        yield from _losses(parent)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that run; what is only for the type checker, for people or for logs does not count."""
    if _silent(node):
        return
    yield node
    for field, held in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in held if isinstance(held, list) else [held]:
            if isinstance(child, ast.AST):
                yield from _walk(child)


def _silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr):
        return True
    if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
        return True
    call = node.value if isinstance(node, ast.Expr) else node
    if isinstance(call, ast.Constant) and isinstance(node, ast.Expr):
        return True
    root = call.func.value if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else None
    return isinstance(root, ast.Name) and root.id in SILENT


def _replacements(parent: ast.AST, field: str, node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    for other in OTHER.get(type(node), ()):
        yield other()
    yield from _values(node)
    if field == "test" and isinstance(parent, ast.If | ast.While):
        yield ast.UnaryOp(ast.Not(), node)
    if isinstance(parent, ast.Return) and not (isinstance(node, ast.Constant) and node.value is None):
        yield ast.Constant(None)
    if field in ("body", "orelse", "finalbody") and _acts(node) and not isinstance(parent, ast.Module | ast.ClassDef):
        yield ast.Pass()


def _values(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.BoolOp(values=values):
            for index in range(len(values)):
                rest = values[:index] + values[index + 1 :]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()


def _acts(node: ast.AST) -> bool:
    """Whether it is a statement whose loss leaves a program."""
    if not isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Delete) or _silent(node):
        return False
    return not isinstance(getattr(node, "value", None), ast.Yield)


def _losses(parent: ast.AST) -> Iterator[Edit]:
    """An argument of a call with more than one, a keyword, an element of a collection."""
    match parent:
        case ast.Call(args=args, keywords=keywords):
            if len(args) + len(keywords) > 1:
                yield from ((parent, "args", index, None) for index in range(len(args)))
            yield from ((parent, "keywords", index, None) for index, one in enumerate(keywords) if one.arg)
        case ast.Set(elts=elements) | ast.Tuple(elts=elements, ctx=ast.Load()) if len(elements) > 1:
            yield from ((parent, "elts", index, None) for index in range(len(elements)))


def _short(node: ast.AST | None) -> str:
    if node is None:
        return "nothing"
    text = ast.unparse(node) if not isinstance(node, ast.operator | ast.cmpop | ast.boolop) else type(node).__name__
    text = " ".join(text.split())
    return text if len(text) <= 90 else text[:87] + "..."
