"""Regular expressions of a query, by RE2, whose time is linear in the text whatever the pattern.

The only module that imports `re2`, when the first pattern is used. Syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from aimstore.query.limits import Budget

MAX_PATTERN: Final = 1_000
"""Characters of a pattern."""

MAX_PROGRAM: Final = 10_000
"""Instructions that RE2 makes of a pattern."""

MAX_MEMORY: Final = 1 << 20
"""Bytes that RE2 may use for one pattern. The `re2` module keeps 128 of them."""

KEPT: Final = 64
"""Compiled patterns that are kept here."""

_PER_STEP: Final = 256
"""Characters times instructions that count as one step; at worst 1.3 µs."""

_BACKSPACE: Final = "\b"


class PatternError(ValueError):
    """A pattern that is none, or too large."""


def check_pattern(pattern: str) -> None:
    """Return if `pattern` is one that `search` takes.

    Raises:
        PatternError: it is not, in RE2's words.
    """
    _compiled(pattern)


def search(budget: Budget, text: str, pattern: Any) -> bool:
    """Whether `pattern` is found anywhere in `text`.

    Raises:
        TypeError: `pattern` is not a string.
        PatternError: it is not a regular expression.
    """
    if type(pattern) is not str:
        raise TypeError(f"matches() takes a pattern as a string, not {type(pattern).__name__}")
    known = _compiled.cache_info().misses
    regex, cost = _compiled(pattern)
    if _compiled.cache_info().misses != known:
        budget.spend(cost)
    encoded = text.encode("utf-8", "replace")  # what cannot be encoded is a lone surrogate
    budget.spend(len(encoded) * cost // _PER_STEP + 1)
    return regex.search(encoded) is not None


@lru_cache(KEPT)
def _compiled(pattern: str) -> tuple[Any, int]:
    """The compiled pattern, and the number of its instructions."""
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"a pattern may have {MAX_PATTERN:,} characters, not {len(pattern):,}")
    if _BACKSPACE in pattern:
        raise PatternError(r"the pattern holds a backspace; for \b write an r before the quotes: r'\b…'")
    import re2

    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    options.never_capture = True
    try:
        regex = re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise PatternError("the pattern is no valid text") from None
    except re2.error as error:
        raise PatternError(f"not a regular expression: {_words(error)}") from None
    if regex.programsize > MAX_PROGRAM:
        raise PatternError(f"the pattern is too large: {regex.programsize:,} instructions, not {MAX_PROGRAM:,} at most")
    return regex, regex.programsize


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
