"""The limits of queries and the budget of one evaluation; they hold for any expression and any data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aimstore.query.costs import Cost


@dataclass(frozen=True)
class QueryLimits:
    """Limits on the cost of a query. The defaults are safe for queries of untrusted users.

    Attributes:
        expression_characters: length of an expression.
        expression_nodes: nodes of the syntax tree of an expression; a list of 10,000 run hashes fits.
        nesting_levels: levels of the syntax tree of an expression.
        nested_loops: loops within loops. Python 3.12 and 3.13 inline loops and crash when they compile more than 20.
        chain_comparisons: comparisons in one chain, such as `0 < run.a < 1`.
        chained_comparisons: comparisons in all chains of an expression: each becomes a function, and takes 10 kB to
            compile.
        order_attributes: attributes of an order, as in `run.a, run.b desc`.
        hint_constants: elements of a list after `in` for which an index is asked.
        hint_lookups: hints on structured properties or on sequences of any name; each is an SQL statement or a search
            by name.
        evaluation_steps: time of one evaluation, in the steps of `aimstore.query.costs`; a million take about a second.
        evaluation_bytes: total memory that one evaluation allocates.
        integer_bits: size of an integer in an expression, or of a result of arithmetic.
        text_characters: length of a string that `+` and `*` make, or that `int`, `float` and `datetime` parse.
        round_digits: digits that `round` accepts: `round(5, -10**9)` computes 10 to that power, and floats have at most
            324 decimal places.
        pattern_characters: length of a regular expression.
        pattern_instructions: number of RE2 instructions of a compiled regular expression.
        pattern_bytes: memory that RE2 may use for one regular expression. The `re2` module caches 128 of them.
    """

    expression_characters: int = 400_000
    expression_nodes: int = 50_000
    nesting_levels: int = 100
    nested_loops: int = 10
    chain_comparisons: int = 100
    chained_comparisons: int = 2_000
    order_attributes: int = 1_000
    hint_constants: int = 10_000
    hint_lookups: int = 100
    evaluation_steps: int = 1_000_000
    evaluation_bytes: int = 64_000_000
    integer_bits: int = 4_096
    text_characters: int = 10_000
    round_digits: int = 400
    pattern_characters: int = 1_000
    pattern_instructions: int = 10_000
    pattern_bytes: int = 1 << 20


DEFAULT_LIMITS: Final = QueryLimits()


class QueryLimitError(RuntimeError):
    """An evaluation exceeded a limit; the cause of a `QueryRuntimeError`."""


class Budget:
    """The remaining steps and bytes of one evaluation. Each evaluation has its own; threads do not share it."""

    __slots__ = ("bytes", "limits", "steps")

    def __init__(self, limits: QueryLimits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.steps = limits.evaluation_steps
        self.bytes = limits.evaluation_bytes

    def charge(self, cost: Cost) -> None:
        """Subtract a cost from the budget, before the operation.

        Raises:
            QueryLimitError: the cost exceeds the budget.
        """
        self.steps -= cost.steps
        self.bytes -= cost.bytes
        if self.steps < 0:
            most = self.limits.evaluation_steps
            raise QueryLimitError(f"the query took more than {most:,} steps for one run; loop over less")
        if self.bytes < 0:
            most = self.limits.evaluation_bytes
            raise QueryLimitError(
                f"the query took more than {most:,} bytes of memory for one run; make less text or lists"
            )
