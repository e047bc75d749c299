"""The allow-list: builds the tree of a query from the syntax that a query may contain. All other syntax is refused."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Literal, NoReturn, cast

from aimstore.abc.query import Subject
from aimstore.query import tree
from aimstore.query.functions import CONSUMERS, FUNCTIONS, KEYWORDS, METHODS
from aimstore.query.kinds import kind_of, misfit
from aimstore.query.limits import QueryLimits
from aimstore.query.patterns import PatternError, check_pattern
from aimstore.query.remedies import no_methods, unknown_attribute, unknown_link, unknown_method, unknown_name
from aimstore.query.syntax import COMPARISONS, OPERATIONS, SIGNS, fault, fault_between, mark_of
from aimstore.query.tree import Comparison, Node
from aimstore.query.views import CLOSED, METRIC_PROPERTIES, SUBJECTS

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
_REFUSED_ATTRIBUTES: Final = frozenset({"format", "format_map", "mro"})
_INSPECTION: Final = frozenset(
    {
        *("ag_await", "ag_code", "ag_frame", "co_code", "cr_await", "cr_code", "cr_frame", "cr_origin"),
        *("f_back", "f_builtins", "f_code", "f_generator", "f_globals", "f_locals", "f_trace"),
        *("gi_code", "gi_frame", "gi_yieldfrom", "tb_frame", "tb_next"),
    }
)
"""Attributes of Python's frames, code and generators. No value in a query is any of these."""


def build_tree(syntax: ast.Expression, expression: str, subject: Subject, limits: QueryLimits) -> Node:
    """Build the tree of a query, or of an attribute in an order.

    Args:
        syntax: a result of `parse`. A date given as a string beside `run.created_at` is replaced in it by a call of
            `datetime`.
        expression: the source text, shown in errors.
        subject: what the query selects.
        limits: limits on the cost of the query.

    Raises:
        QuerySyntaxError: the syntax holds something that a query may not contain.
    """
    return _Builder(expression, subject, limits).build(syntax.body)


def check_condition(node: Node, expression: str) -> None:
    """Return if `node` may be a whole query.

    Raises:
        QuerySyntaxError: `node` is a collection.
    """
    if isinstance(node, (tree.Display, tree.DictDisplay)):
        hint = 'join conditions with "and" or "or"'
        raise fault("a collection is not a condition", expression, node.at, hint)


class _Builder:
    """Builds one tree; raises at the first syntax that is not allowed."""

    def __init__(self, expression: str, subject: Subject, limits: QueryLimits) -> None:
        self._expression = expression
        self._subject = subject
        self._subjects = frozenset(SUBJECTS[subject])
        self._limits = limits
        self._variables: list[str] = []
        self._metrics: list[str] = []  # the variables that stand for metrics

    def build(self, node: ast.AST) -> Node:
        handler = getattr(self, f"_build_{type(node).__name__.lower()}", None)
        if handler is None:
            what = _REFUSED_NODES.get(type(node).__name__, f"this ({type(node).__name__})")
            hint = "did you mean ==?" if isinstance(node, ast.NamedExpr) else ""
            self._refuse(node, f"a query cannot contain {what}", hint)
        return cast(Node, handler(node))

    def _each(self, nodes: Iterable[ast.AST]) -> tuple[Node, ...]:
        return tuple(map(self.build, nodes))

    def _refuse(self, node: ast.AST, reason: str, hint: str = "") -> NoReturn:
        raise fault(reason, self._expression, mark_of(node), hint)

    # Values

    def _build_constant(self, node: ast.Constant) -> Node:
        value: Any = node.value
        if value is not None and type(value) not in (bool, int, float, complex, str, bytes):
            self._refuse(node, "a query cannot contain '...'")
        if type(value) is int and value.bit_length() > self._limits.integer_bits:
            self._refuse(node, f"a number may have {self._limits.integer_bits:,} bits")
        return tree.Constant(mark_of(node), value)

    def _build_tuple(self, node: ast.Tuple) -> Node:
        return self._display("tuple", node)

    def _build_list(self, node: ast.List) -> Node:
        return self._display("list", node)

    def _build_set(self, node: ast.Set) -> Node:
        return self._display("set", node)

    def _display(self, kind: Literal["list", "tuple", "set"], node: ast.Tuple | ast.List | ast.Set) -> Node:
        return tree.Display(mark_of(node), kind, self._each(node.elts))

    def _build_dict(self, node: ast.Dict) -> Node:
        keys = [key for key in node.keys if key is not None]
        if len(keys) < len(node.keys):
            self._refuse(node, "a query cannot contain unpacking with **")
        return tree.DictDisplay(mark_of(node), tuple(zip(self._each(keys), self._each(node.values), strict=True)))

    # Conditions and arithmetic

    def _build_boolop(self, node: ast.BoolOp) -> Node:
        word: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
        return tree.Junction(mark_of(node), word, self._each(node.values))

    def _build_unaryop(self, node: ast.UnaryOp) -> Node:
        if isinstance(node.op, ast.Invert):
            self._refuse(node, "a query cannot contain '~'", 'use "not"')
        operand = self.build(node.operand)
        if isinstance(node.op, ast.Not):
            return tree.Negation(mark_of(node), operand)
        return tree.Signed(mark_of(node), SIGNS[type(node.op)], operand)

    def _build_binop(self, node: ast.BinOp) -> Node:
        refused = _REFUSED_OPERATORS.get(type(node.op))
        if refused:
            symbol, hint = refused
            raise fault_between(
                f"a query cannot contain {symbol!r}", self._expression, node.left, node.right, symbol, hint
            )
        return tree.Arithmetic(mark_of(node), OPERATIONS[type(node.op)], self.build(node.left), self.build(node.right))

    def _build_compare(self, node: ast.Compare) -> Node:
        operands = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, operands, node.comparators, strict=False):
            if isinstance(operator, (ast.Is, ast.IsNot)) and not (_is_singleton(left) or _is_singleton(right)):
                reason = '"is" compares with None, True or False only'
                raise fault_between(reason, self._expression, left, right, "is", 'use "=="')
        operators = tuple(COMPARISONS[type(operator)] for operator in node.ops)
        found = list(self._each(operands))
        for number, symbol in enumerate(operators):
            self._check_kinds(found[number], symbol, found[number + 1])
        moments = [number for number, each in enumerate(found) if kind_of(each) == "moment"]
        for number in {beside for moment in moments for beside in (moment - 1, moment + 1)} & {*range(len(found))}:
            operands[number], found[number] = _with_dates(operands[number], found[number])
        node.left, *node.comparators = operands
        return tree.Compare(mark_of(node), operators, tuple(found))

    def _check_kinds(self, left: Node, operator: Comparison, right: Node) -> None:
        """Refuse a comparison that can never be true."""
        for path, other in ((left, right), (right, left)):
            kind = kind_of(path)
            others = other.elements if isinstance(other, tree.Display) and operator in ("in", "not in") else (other,)
            for each in others if kind is not None else ():
                if kind is not None and (remedy := misfit(kind, operator, each)):
                    raise fault(remedy[0], self._expression, each.at, remedy[1])

    def _build_ifexp(self, node: ast.IfExp) -> Node:
        test, chosen, otherwise = self._each((node.test, node.body, node.orelse))
        return tree.Conditional(mark_of(node), chosen, test, otherwise)

    # Names, attributes and indices

    def _build_name(self, node: ast.Name) -> Node:
        name = node.id
        if name in self._variables:
            return tree.Variable(mark_of(node), name)
        if name in self._subjects:
            self._refuse(node, f"{name!r} alone is not a value", f"name one of its attributes, as in {name}.name")
        if name in FUNCTIONS:
            self._refuse(node, f"{name!r} is a function", f"call it: {name}(…)")
        return self._refuse(node, *unknown_name(name, self._subject, self._variables))

    def _build_attribute(self, node: ast.Attribute) -> Node:
        name = node.attr
        self._check_attribute_name(node)
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner in CLOSED and owner in self._subjects:
            if name not in CLOSED[owner]:
                self._refuse(node, *unknown_attribute(name, owner, owner))
            if name == "run":
                return tree.Path(mark_of(node), "run", ())
        if owner in self._metrics and name not in METRIC_PROPERTIES:
            self._refuse(node, *unknown_attribute(name, "metric", owner))
        above = self._owner(node.value)
        if name in _INSPECTION or name.endswith("__roles__"):
            self._refuse(node, f"{name!r} is a restricted name", _read_with_index(name))
        if isinstance(above, tree.Path) and above.subject == "run" and (remedy := unknown_link(above.links, name)):
            self._refuse(node, *remedy)
        return self._linked(node, above, tree.Field(name))

    def _check_attribute_name(self, node: ast.Attribute) -> None:
        name = node.attr
        if name.startswith("_") or name in _REFUSED_ATTRIBUTES:
            self._refuse(node, f"a query cannot read the attribute {name!r}", _read_with_index(name))

    def _build_subscript(self, node: ast.Subscript) -> Node:
        owner = self._owner(node.value)
        return self._linked(node, owner, tree.Index(self.build(node.slice)))

    def _linked(self, node: ast.expr, owner: Node, link: tree.Link) -> Node:
        """The node for following `link` from `owner`."""
        if isinstance(owner, tree.Path):
            return tree.Path(mark_of(node), owner.subject, (*owner.links, link))
        if isinstance(owner, tree.Access):
            return tree.Access(mark_of(node), owner.value, (*owner.links, link))
        return tree.Access(mark_of(node), owner, (link,))

    def _build_slice(self, node: ast.Slice) -> Node:
        lower, upper, step = (
            None if bound is None else self.build(bound) for bound in (node.lower, node.upper, node.step)
        )
        return tree.Slice(mark_of(node), (lower, upper, step))

    def _owner(self, node: ast.expr) -> Node:
        """The node before a dot or bracket; only here may a subject stand alone."""
        if isinstance(node, ast.Name) and node.id in self._subjects:
            return tree.Path(mark_of(node), cast(Subject, node.id), ())
        return self.build(node)

    # Calls

    def _build_call(self, node: ast.Call) -> Node:
        if isinstance(node.func, ast.Name):
            return self._function_call(node, node.func)
        if isinstance(node.func, ast.Attribute):
            return self._method_call(node, node.func)
        return self._refuse(node.func, "only functions and methods can be called")

    def _function_call(self, node: ast.Call, function: ast.Name) -> Node:
        name = function.id
        if name in self._subjects or name in self._variables:
            self._refuse(function, f"{name!r} is not a function")
        if name not in FUNCTIONS:
            self._refuse(function, *unknown_name(name, self._subject, self._variables))
        keywords = self._keywords(node, KEYWORDS.get(name, frozenset()))
        if name in CONSUMERS and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            return tree.Call(mark_of(node), name, (self._loop(node.args[0]),), keywords)
        return tree.Call(mark_of(node), name, self._each(node.args), keywords)

    def _method_call(self, node: ast.Call, method: ast.Attribute) -> Node:
        self._check_attribute_name(method)
        if method.attr not in METHODS:
            self._refuse(method, *unknown_method(method.attr))
        if method.attr == "matches":
            self._check_pattern(node)
        owner = self._owner(method.value)
        if remedy := no_methods(owner):
            self._refuse(method, *remedy)
        self._keywords(node, frozenset())
        return tree.MethodCall(mark_of(node), owner, method.attr, self._each(node.args))

    def _keywords(self, node: ast.Call, allowed: frozenset[str]) -> tuple[tuple[str, Node], ...]:
        found: dict[str, Node] = {}
        for keyword in node.keywords:
            if keyword.arg is None or keyword.arg not in allowed:
                what = "unpacking with **" if keyword.arg is None else f"the argument {keyword.arg!r} here"
                self._refuse(keyword, f"a query cannot contain {what}")
            if keyword.arg in found:
                self._refuse(keyword, f"the argument {keyword.arg!r} is given twice", "leave one of them out")
            found[keyword.arg] = self.build(keyword.value)
        return tuple(found.items())

    def _check_pattern(self, node: ast.Call) -> None:
        if len(node.args) != 1:
            self._refuse(node.func, "matches() takes one pattern", "put | between alternatives: 'adam|sgd'")
        match node.args[0]:
            case ast.Constant(str() as pattern):
                try:
                    check_pattern(pattern, self._limits)
                except PatternError as error:
                    self._refuse(node.args[0], str(error))
            case ast.Constant():
                self._refuse(node.args[0], "matches() takes a pattern as a string")

    # Loops

    def _build_generatorexp(self, node: ast.GeneratorExp) -> Node:
        self._refuse(node, "a generator is not a value", f"put it into {', '.join(sorted(CONSUMERS))}, or into [ ]")

    def _build_listcomp(self, node: ast.ListComp) -> Node:
        return self._loop(node)

    def _loop(self, node: ast.ListComp | ast.GeneratorExp) -> Node:
        outside, metrics = list(self._variables), list(self._metrics)
        clauses = tuple(map(self._clause, node.generators))
        element = self.build(node.elt)
        self._variables, self._metrics = outside, metrics
        return tree.Loop(mark_of(node), element, clauses)

    def _clause(self, node: ast.comprehension) -> tree.Clause:
        if node.is_async:
            self._refuse(node.target, "a query cannot contain async")
        iterable = self.build(node.iter)
        targets = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
        variables = tuple(map(self._variable, targets))
        self._variables += variables
        self._metrics = [name for name in self._metrics if name not in variables]
        if kind_of(iterable) == "metrics" and isinstance(node.target, ast.Name):
            self._metrics += variables
        return tree.Clause(variables, iterable, self._each(node.ifs))

    def _variable(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            self._refuse(node, "a loop variable must be a name")
        name = node.id
        if name.startswith("_") or name in FUNCTIONS or name in {*self._subjects, "metric"}:
            self._refuse(node, f"a loop variable cannot be called {name!r}")
        return name


def _read_with_index(name: str) -> str:
    return f"a parameter of that name is read with an index: [{name!r}]"


def _with_dates(written: ast.expr, built: Node) -> tuple[ast.expr, Node]:
    """Convert a date given as a string, or a collection of them, to `datetime`; leave other operands unchanged."""
    if isinstance(built, tree.Display) and isinstance(written, (ast.List, ast.Tuple, ast.Set)):
        pairs = [_as_date(*pair) for pair in zip(written.elts, built.elements, strict=True)]
        written.elts = [element for element, _ in pairs]
        return written, replace(built, elements=tuple(element for _, element in pairs))
    return _as_date(written, built)


def _as_date(written: ast.expr, built: Node) -> tuple[ast.expr, Node]:
    if not isinstance(built, tree.Constant) or not isinstance(built.value, str):
        return written, built
    call = ast.Call(ast.Name("datetime", ast.Load()), [written], [])
    return ast.fix_missing_locations(ast.copy_location(call, written)), tree.Call(built.at, "datetime", (built,))


def _is_singleton(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or type(node.value) is bool)
