"""The bounds within which one evaluation of a query stays, whatever the expression or the data."""

from __future__ import annotations

from typing import Final

MAX_STEPS: Final = 1_000_000
"""Steps of one evaluation: elements that loops, `in` and comparisons of lists visit, weighed by a loop's size."""

MAX_INT_BITS: Final = 4_096
"""Size of an integer that arithmetic may make."""

MAX_TEXT: Final = 10_000
"""Characters of a string that `+` and `*` may make."""

CHARACTERS_PER_STEP: Final = 64
"""Copying or comparing this many characters counts as one step."""

SLOT: Final = 8
"""A slot of a list costs as much as this many characters."""

MAX_ROUND_DIGITS: Final = 400
"""`round(5, -10**9)` computes 10 to that power; floats have at most 324 decimal places."""


class QueryLimitError(RuntimeError):
    """An evaluation that went past one of the bounds; the cause of a `QueryRuntimeError`."""


class Budget:
    """The steps left to one evaluation. Made anew for each; not shared between threads."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Use `steps` up.

        Raises:
            QueryLimitError: fewer are left.
        """
        self.left -= steps
        if self.left < 0:
            raise QueryLimitError(f"the query took more than {MAX_STEPS:,} steps for one run; loop over less")

    def copy(self, size: int) -> None:
        """Use up what copying or comparing `size` characters costs."""
        self.spend(size // CHARACTERS_PER_STEP + 1)
