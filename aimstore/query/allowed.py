"""The allow-list: which syntax a query may contain, and which names. Everything else is refused with a hint."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final, NoReturn

from aimstore.abc.query import Subject
from aimstore.errors import nearest
from aimstore.query.functions import CONSUMERS, FUNCTIONS, KEYWORDS, METHODS
from aimstore.query.limits import MAX_INT_BITS
from aimstore.query.patterns import PatternError, check_pattern
from aimstore.query.syntax import fault, fault_between
from aimstore.query.views import CLOSED, RUN_PROPERTIES, SEQUENCE_PROPERTIES, SUBJECTS

_REFUSED_ATTRIBUTES: Final = frozenset({"format", "format_map", "mro"})
_REFUSED_OPERATORS: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.BitAnd: ("&", 'use "and"'),
    ast.BitOr: ("|", 'use "or"'),
    ast.BitXor: ("^", "use ** for powers, != for exclusive or"),
    ast.LShift: ("<<", ""),
    ast.RShift: (">>", ""),
    ast.MatMult: ("@", ""),
}
_REFUSED_NODES: Final[dict[str, str]] = {
    "Await": "await",
    "DictComp": "a dict comprehension",
    "JoinedStr": "an f-string",
    "Lambda": "lambda",
    "NamedExpr": "an assignment",
    "SetComp": "a set comprehension",
    "Starred": "unpacking with *",
    "Yield": "yield",
    "YieldFrom": "yield",
}
_OTHER_LANGUAGES: Final = {"null": "None", "nil": "None", "true": "True", "false": "False"}
_PATTERNS: Final = """for regular expressions use matches(), as in run.name.matches(r"^exp-\\d+$")"""
_INSTEAD: Final = {"contains": 'use "in", as in "exp" in run.name'} | dict.fromkeys(
    ("re", "re2", "regex", "match", "search", "fullmatch", "findall", "rlike", "ilike"), _PATTERNS
)
"""What to write for names of other libraries and languages."""


class AllowList:
    """Checks one tree; `check` raises at the first thing that is not allowed."""

    def __init__(self, expression: str, subject: Subject) -> None:
        self._expression = expression
        self._subject = subject
        self._subjects = frozenset(SUBJECTS[subject])
        self._variables: list[str] = []

    def check(self, tree: ast.Expression) -> None:
        """Raises:
        QuerySyntaxError: the tree holds something that a query may not.
        """
        if isinstance(tree.body, (ast.Tuple, ast.List, ast.Set, ast.Dict)):
            self._refuse(tree.body, "a collection is not a condition", 'join conditions with "and" or "or"')
        self._visit(tree.body)

    def _refuse(self, node: ast.AST, reason: str, hint: str = "") -> NoReturn:
        raise fault(reason, self._expression, node, hint)

    def _visit(self, node: ast.AST) -> None:
        handler = getattr(self, f"_visit_{type(node).__name__.lower()}", None)
        if handler is None:
            what = _REFUSED_NODES.get(type(node).__name__, f"this ({type(node).__name__})")
            hint = "did you mean ==?" if isinstance(node, ast.NamedExpr) else ""
            self._refuse(node, f"a query cannot contain {what}", hint)
        handler(node)

    def _each(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self._visit(node)

    def _visit_constant(self, node: ast.Constant) -> None:
        if node.value is not None and type(node.value) not in (bool, int, float, complex, str, bytes):
            self._refuse(node, "a query cannot contain '...'")
        if type(node.value) is int and node.value.bit_length() > MAX_INT_BITS:
            self._refuse(node, f"a number may have {MAX_INT_BITS:,} bits")

    def _visit_boolop(self, node: ast.BoolOp) -> None:
        self._each(node.values)

    def _visit_unaryop(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Invert):
            self._refuse(node, "a query cannot contain '~'", 'use "not"')
        self._visit(node.operand)

    def _visit_binop(self, node: ast.BinOp) -> None:
        refused = _REFUSED_OPERATORS.get(type(node.op))
        if refused:
            symbol, hint = refused
            raise fault_between(
                f"a query cannot contain {symbol!r}", self._expression, node.left, node.right, symbol, hint
            )
        self._each((node.left, node.right))

    def _visit_compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, node.comparators, strict=False):
            if isinstance(operator, (ast.Is, ast.IsNot)) and not (_is_singleton(left) or _is_singleton(right)):
                reason = '"is" compares with None, True or False only'
                raise fault_between(reason, self._expression, left, right, "is", 'use "=="')
        self._each(operands)

    def _visit_ifexp(self, node: ast.IfExp) -> None:
        self._each((node.test, node.body, node.orelse))

    def _visit_tuple(self, node: ast.Tuple) -> None:
        self._each(node.elts)

    def _visit_list(self, node: ast.List) -> None:
        self._each(node.elts)

    def _visit_set(self, node: ast.Set) -> None:
        self._each(node.elts)

    def _visit_dict(self, node: ast.Dict) -> None:
        if None in node.keys:
            self._refuse(node, "a query cannot contain unpacking with **")
        self._each((*node.keys, *node.values))

    def _visit_name(self, node: ast.Name) -> None:
        name = node.id
        if name in self._variables:
            return
        if name in self._subjects:
            self._refuse(node, f"{name!r} alone is not a value", f"name one of its attributes, as in {name}.name")
        if name in FUNCTIONS:
            self._refuse(node, f"{name!r} is a function", f"call it: {name}(…)")
        self._unknown_name(node)

    def _unknown_name(self, node: ast.Name) -> NoReturn:
        name = node.id
        reason = f"unknown name {name!r}"
        if name in CLOSED:
            self._refuse(node, f"a query for {self._subject}s has no {name!r}", self._instead_of(name))
        if name.lower() in _OTHER_LANGUAGES:
            self._refuse(node, reason, f"did you mean {_OTHER_LANGUAGES[name.lower()]}?")
        if name in RUN_PROPERTIES:
            self._refuse(node, reason, f"did you mean run.{name}?")
        if name in _INSTEAD:
            self._refuse(node, reason, _INSTEAD[name])
        if name in METHODS:
            self._refuse(node, reason, f"write it after a value, as in run.x.{name}(…)")
        if near := nearest(name, [*self._subjects, *FUNCTIONS, *self._variables]):
            self._refuse(node, reason, f"did you mean {near[0]}?")
        known = ", ".join((*sorted(self._subjects), *FUNCTIONS))
        self._refuse(node, reason, f"put a string in quotes, an attribute after 'run.'; known names are {known}")

    def _instead_of(self, subject: str) -> str:
        """What to write where a query names a subject that is not its own."""
        if self._subject != "run":
            return f"did you mean {self._subject}?"
        return f"use query_{subject}s" + (", or run.metrics['name'].last" if subject == "metric" else "")

    def _visit_attribute(self, node: ast.Attribute) -> None:
        name = node.attr
        self._check_attribute_name(node)
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner in CLOSED and owner in self._subjects and name not in CLOSED[owner]:
            near = nearest(name, CLOSED[owner])
            hint = f"did you mean {owner}.{near[0]}?" if near else f"it has {', '.join(sorted(CLOSED[owner]))}"
            self._refuse(node, f"a {owner} has no attribute {name!r}", hint)
        self._base(node.value)

    def _check_attribute_name(self, node: ast.Attribute) -> None:
        name = node.attr
        if name.startswith("_") or name in _REFUSED_ATTRIBUTES:
            hint = f"a parameter of that name is read with an index: [{name!r}]"
            self._refuse(node, f"a query cannot read the attribute {name!r}", hint)

    def _visit_subscript(self, node: ast.Subscript) -> None:
        self._base(node.value)
        self._visit(node.slice)

    def _visit_slice(self, node: ast.Slice) -> None:
        self._each((node.lower, node.upper, node.step))

    def _base(self, node: ast.expr) -> None:
        """What stands before a dot or bracket; only here may `run` and `metric` stand."""
        if not (isinstance(node, ast.Name) and node.id in self._subjects):
            self._visit(node)

    def _visit_call(self, node: ast.Call) -> None:
        keywords: frozenset[str] = frozenset()
        consumes = False
        if isinstance(node.func, ast.Name):
            name = node.func.id
            if name in self._subjects or name in self._variables:
                self._refuse(node.func, f"{name!r} is not a function")
            if name not in FUNCTIONS:
                self._unknown_name(node.func)
            keywords = KEYWORDS.get(name, keywords)
            consumes = name in CONSUMERS
        elif isinstance(node.func, ast.Attribute):
            method = node.func.attr
            self._check_attribute_name(node.func)
            if method not in METHODS:
                near = nearest(method, METHODS)
                hint = f"did you mean {near[0]}()?" if near else f"methods are {', '.join(sorted(METHODS))}"
                if method in RUN_PROPERTIES | SEQUENCE_PROPERTIES:
                    hint = "leave the parentheses out"
                hint = _INSTEAD.get(method, hint)
                self._refuse(node.func, f"a query cannot call a method {method!r}", hint)
            if method == "matches":
                self._check_pattern(node)
            self._base(node.func.value)
        else:
            self._refuse(node.func, "only functions and methods can be called")
        for keyword in node.keywords:
            if keyword.arg not in keywords:
                what = "unpacking with **" if keyword.arg is None else f"the argument {keyword.arg!r} here"
                self._refuse(keyword, f"a query cannot contain {what}")
            self._visit(keyword.value)
        if consumes and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            self._loop(node.args[0])
        else:
            self._each(node.args)

    def _check_pattern(self, node: ast.Call) -> None:
        if len(node.args) != 1:
            self._refuse(node.func, "matches() takes one pattern", "put | between alternatives: 'adam|sgd'")
        match node.args[0]:
            case ast.Constant(str() as pattern):
                try:
                    check_pattern(pattern)
                except PatternError as error:
                    self._refuse(node.args[0], str(error))
            case ast.Constant():
                self._refuse(node.args[0], "matches() takes a pattern as a string")

    def _visit_generatorexp(self, node: ast.GeneratorExp) -> None:
        self._refuse(node, "a generator is not a value", f"put it into {', '.join(sorted(CONSUMERS))}, or into [ ]")

    def _visit_listcomp(self, node: ast.ListComp) -> None:
        self._loop(node)

    def _loop(self, node: ast.ListComp | ast.GeneratorExp) -> None:
        outside = len(self._variables)
        for clause in node.generators:
            if clause.is_async:
                self._refuse(clause.target, "a query cannot contain async")
            self._visit(clause.iter)
            self._bind(clause.target)
            self._each(clause.ifs)
        self._visit(node.elt)
        del self._variables[outside:]

    def _bind(self, target: ast.expr) -> None:
        for name in target.elts if isinstance(target, ast.Tuple) else [target]:
            if not isinstance(name, ast.Name):
                self._refuse(name, "a loop variable must be a name")
            if name.id.startswith("_") or name.id in FUNCTIONS or name.id in {*self._subjects, "metric"}:
                self._refuse(name, f"a loop variable cannot be called {name.id!r}")
            self._variables.append(name.id)


def _is_singleton(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or type(node.value) is bool)
