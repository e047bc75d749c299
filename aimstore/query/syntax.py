"""From the text of a query to Python's syntax tree, and from a mark in the tree to line, column and a hint."""

from __future__ import annotations

import ast
import re
import threading
import warnings
from typing import Final

from aimstore.errors import QuerySyntaxError
from aimstore.query.limits import QueryLimits
from aimstore.query.tree import Comparison, Mark, Operation, Sign

COMPARISONS: Final[dict[type[ast.cmpop], Comparison]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
OPERATIONS: Final[dict[type[ast.operator], Operation]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
SIGNS: Final[dict[type[ast.unaryop], Sign]] = {ast.UAdd: "+", ast.USub: "-"}
"""The symbols of operators, by Python's node."""

_STRING: Final = re.compile(r"""("{3}|'{3}).*?(?:\1|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?""", re.DOTALL)
"""Matches unterminated strings too: searching for an end from each quote again would take quadratic time."""

_FOREIGN: Final = (
    (re.compile(r"&&"), 'use "and" instead of "&&"'),
    (re.compile(r"\|\|"), 'use "or" instead of "||"'),
    (re.compile(r"[=!]==|<>"), 'use "==" or "!="'),
    (re.compile(r"=[<>]"), 'use "<=" or ">="'),
    (re.compile(r"!(?!=)"), 'use "not" instead of "!"'),
    (re.compile(r"\b(?:AND|OR|NOT|IN|IS)\b"), '"and", "or", "not", "in" and "is" are written in lower case'),
    (re.compile(r"\b(?i:like)\b"), 'use "in", startswith() or endswith() for parts of a string'),
    (re.compile(r"=~|!~|\b(?i:rlike|regexp)\b"), 'use matches() for regular expressions: run.name.matches("pattern")'),
    (re.compile(r":="), "a query cannot assign; did you mean ==?"),
)
"""Notations of other languages, and the remedy for each; searched if Python cannot parse the text."""

_one_at_a_time: Final = threading.Lock()
"""Held while warnings are filtered, because the filters belong to the process, not to the thread."""

_WARNS: Final = re.compile(r"\\|[0-9a-fA-FjJ_.](?:and|else|for|if|in|is|not|or)")
"""Text for which Python's parser may warn: `'\\d'`, and `1or 2`."""

_ASSIGNMENT: Final = re.compile(r"(?<![=!<>:])=(?!=)")


def parse(expression: str, limits: QueryLimits) -> ast.Expression:
    """The syntax tree, with positions as in `expression` (but see `fault`).

    Raises:
        QuerySyntaxError: `expression` is not a single Python expression, is too long, or is too deep.
    """
    most = limits.expression_characters
    if len(expression) > most:
        raise QuerySyntaxError(f"a query may have {most:,} characters, not {len(expression):,}", expression[:80])
    try:
        # brackets let an expression run over several lines; two kinds, so that an unbalanced bracket is detected
        _ast_of(f"[\n{expression}\n]")
        tree = _ast_of(f"(\n{expression}\n)")
    except SyntaxError:
        raise _parse_fault(expression) from None
    except ValueError as error:
        raise QuerySyntaxError(f"a query must be plain text: {error}", expression) from None
    except (RecursionError, MemoryError):
        raise QuerySyntaxError(_too_deep(limits), expression) from None
    _check_size(tree, expression, limits)
    return tree


def _ast_of(text: str) -> ast.Expression:
    if not _WARNS.search(text):
        return ast.parse(text, "<query>", "eval")
    with _one_at_a_time, warnings.catch_warnings():
        # `'\d'` is meant as a pattern; Python would show the user's program a warning about it
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.parse(text, "<query>", "eval")


def mark_of(node: ast.AST) -> Mark:
    """The position shown for an error in `node`."""
    line, byte = getattr(node, "lineno", 2), getattr(node, "col_offset", 0)
    if isinstance(node, ast.Attribute):  # its name, not the text before the dot
        line, byte = node.end_lineno or line, (node.end_col_offset or 0) - len(node.attr.encode())
    return Mark(line, byte)


def fault(reason: str, expression: str, at: Mark, hint: str = "") -> QuerySyntaxError:
    """The error for a part of `expression`."""
    line = max(at.line - 1, 1)  # the bracket that `parse` adds is on a line of its own
    return QuerySyntaxError(reason, expression, line, column(expression, line, max(at.byte, 0)), hint)


def fault_between(
    reason: str, expression: str, left: ast.expr, right: ast.expr, symbol: str, hint: str = ""
) -> QuerySyntaxError:
    """The error for an operator between two nodes."""
    line = (left.end_lineno or 2) - 1
    start = column(expression, line, left.end_col_offset or 0)
    found = expression.splitlines()[line - 1].find(symbol, start - 1)
    return QuerySyntaxError(reason, expression, line, found + 1 if found >= 0 else start, hint)


def column(expression: str, line: int, offset: int) -> int:
    """The 1-based column, in characters, of a byte offset in a line (what `ast` counts)."""
    lines = expression.splitlines()
    text = lines[line - 1] if line <= len(lines) else ""
    return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore")) + 1


def _parse_fault(expression: str) -> QuerySyntaxError:
    """The error for text that Python cannot parse."""
    masked = without_strings(expression)
    found = [(match, hint) for pattern, hint in _FOREIGN if (match := pattern.search(masked))]
    if found:
        match, hint = min(found, key=lambda each: each[0].start())
        return QuerySyntaxError("not a query", expression, *position(expression, match.start()), hint)
    try:
        _ast_of(expression.strip())
    except SyntaxError as error:
        reason, line, start = error.msg, error.lineno or 1, error.offset or 0
    else:  # Python parses it alone but not in brackets
        reason, line, start = "a query is one expression", 1, 1
    assignment = _ASSIGNMENT.search(masked)
    if assignment and ("==" in reason or reason == "invalid syntax"):
        hint = "did you mean ==?"
        return QuerySyntaxError("a query cannot assign", expression, *position(expression, assignment.start()), hint)
    if start < 1:  # Python expected more text
        return QuerySyntaxError("the query ends too early", expression, *position(expression, len(expression.rstrip())))
    if line == 1:
        start += len(expression) - len(expression.lstrip())
    lines = expression.splitlines() or [""]
    line = min(max(line, 1), len(lines))
    return QuerySyntaxError(reason, expression, line, min(max(start, 1), len(lines[line - 1]) + 1))


def without_strings(expression: str) -> str:
    """The expression with its strings replaced by blanks."""
    return _STRING.sub(lambda match: blank(match.group()), expression)


def blank(text: str) -> str:
    """Blanks that take as many lines and columns as `text`."""
    return re.sub(r"[^\n]", " ", text)


def position(expression: str, index: int) -> tuple[int, int]:
    """1-based line and column of a character."""
    before = expression[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def _check_size(tree: ast.Expression, expression: str, limits: QueryLimits) -> None:
    """Refuse a tree that is too large or too deep for the recursive steps that follow."""
    whole = mark_of(tree.body)
    count, level = 0, [tree.body]
    for _ in range(limits.nesting_levels):
        count += len(level)
        level = [child for node in level for child in ast.iter_child_nodes(node)]  # type: ignore[misc]
        if not level:
            break
    if level:
        raise fault(_too_deep(limits), expression, whole)
    if (loop := _loop_deeper_than(limits.nested_loops, tree.body)) is not None:
        raise fault(f"loops may be nested {limits.nested_loops} deep", expression, mark_of(loop))
    chains = [node for node in ast.walk(tree) if isinstance(node, ast.Compare) and len(node.ops) > 1]
    for chain in chains:
        if len(chain.ops) > limits.chain_comparisons:
            raise fault(f"a chain may have {limits.chain_comparisons} comparisons", expression, mark_of(chain))
    if sum(len(chain.ops) for chain in chains) > limits.chained_comparisons:
        reason = f"a query may have {limits.chained_comparisons:,} comparisons in chains"
        raise fault(reason, expression, whole, 'use "and"')
    if count > limits.expression_nodes:
        raise fault(f"a query may have {limits.expression_nodes:,} parts, not {count:,}", expression, whole)


def _loop_deeper_than(limit: int, tree: ast.expr) -> ast.expr | None:
    """A loop within more loops than `limit`, each clause counted; None where there is none."""
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            depth += len(node.generators)
            if depth > limit:
                return node
        waiting += ((child, depth) for child in ast.iter_child_nodes(node))
    return None


def _too_deep(limits: QueryLimits) -> str:
    return f"a query may be nested {limits.nesting_levels} levels deep"
