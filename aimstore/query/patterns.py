"""Regular expressions of a query, by RE2, whose time is linear in the text whatever the pattern.

The only module that imports `re2`, when the first pattern is used. Syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from aimstore.query.costs import COSTS, Cost
from aimstore.query.limits import Budget, QueryLimits

_CACHED_PATTERNS: Final = 64

_BACKSPACE: Final = "\b"


class PatternError(ValueError):
    """A pattern that is none, or too large."""


def check_pattern(pattern: str, limits: QueryLimits) -> None:
    """Return if `pattern` is one that `search` takes.

    Raises:
        PatternError: it is not, in RE2's words.
    """
    _compiled(pattern, limits)


def search(budget: Budget, text: str, pattern: Any) -> bool:
    """Whether `pattern` is found anywhere in `text`.

    Raises:
        TypeError: `pattern` is not a string.
        PatternError: it is not a regular expression.
    """
    if type(pattern) is not str:
        raise TypeError(f"matches() takes a pattern as a string, not {type(pattern).__name__}")
    known = _compiled.cache_info().misses
    budget.charge(COSTS["compile a pattern"](pattern))
    regex, instructions = _compiled(pattern, budget.limits)
    if _compiled.cache_info().misses != known:
        budget.charge(Cost(instructions))
    budget.charge(COSTS["str.matches"](text))
    encoded = text.encode("utf-8", "replace")  # what cannot be encoded is a lone surrogate
    budget.charge(COSTS["search with a pattern"](len(encoded), instructions))
    return regex.search(encoded) is not None


@lru_cache(_CACHED_PATTERNS)
def _compiled(pattern: str, limits: QueryLimits) -> tuple[Any, int]:
    """The compiled pattern, and the number of its instructions."""
    if len(pattern) > limits.pattern_characters:
        raise PatternError(f"a pattern may have {limits.pattern_characters:,} characters, not {len(pattern):,}")
    if _BACKSPACE in pattern:
        raise PatternError(r"the pattern holds a backspace; for \b write an r before the quotes: r'\b…'")
    import re2

    options = re2.Options()
    options.max_mem = limits.pattern_bytes
    options.log_errors = False
    options.never_capture = True
    try:
        regex = re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise PatternError("the pattern is no valid text") from None
    except re2.error as error:
        raise PatternError(f"not a regular expression: {_words(error)}") from None
    instructions, most = regex.programsize, limits.pattern_instructions
    if instructions > most:
        raise PatternError(f"the pattern is too large: {instructions:,} instructions, not {most:,} at most")
    return regex, instructions


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
