"""Regular expressions of a query, by RE2: its time is linear in the text, whatever the pattern.

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
    """A pattern that is invalid or too large."""


def check_pattern(pattern: str, limits: QueryLimits) -> None:
    """Return if `search` accepts `pattern`.

    Raises:
        PatternError: it does not; the message is RE2's.
    """
    _compiled(pattern, limits.pattern_characters, limits.pattern_instructions, limits.pattern_bytes)


def search(budget: Budget, text: str, pattern: Any) -> bool:
    """Whether `pattern` is found anywhere in `text`.

    Raises:
        TypeError: `pattern` is not a string.
        PatternError: `pattern` is not a regular expression.
    """
    if type(pattern) is not str:
        raise TypeError(f"matches() takes a pattern as a string, not {type(pattern).__name__}")
    known = _compiled.cache_info().misses
    budget.charge(COSTS["compile a pattern"](pattern))
    limits = budget.limits
    regex, instructions = _compiled(
        pattern, limits.pattern_characters, limits.pattern_instructions, limits.pattern_bytes
    )
    if _compiled.cache_info().misses != known:
        budget.charge(Cost(instructions))
    budget.charge(COSTS["str.matches"](text))
    encoded = text.encode("utf-8", "replace")  # only a lone surrogate cannot be encoded
    budget.charge(COSTS["search with a pattern"](len(encoded), instructions))
    return regex.search(encoded) is not None


@lru_cache(_CACHED_PATTERNS)
def _compiled(pattern: str, max_characters: int, max_instructions: int, max_bytes: int) -> tuple[Any, int]:
    """The compiled pattern, and the number of its instructions."""
    if len(pattern) > max_characters:
        raise PatternError(f"a pattern may have {max_characters:,} characters, not {len(pattern):,}")
    if _BACKSPACE in pattern:
        raise PatternError(r"the pattern holds a backspace; for \b write an r before the quotes: r'\b…'")
    import re2

    options = re2.Options()
    options.max_mem = max_bytes
    options.log_errors = False
    options.never_capture = True
    try:
        regex = re2.compile(pattern.encode(), options)
    except UnicodeEncodeError:
        raise PatternError("the pattern is no valid text") from None
    except re2.error as error:
        raise PatternError(f"not a regular expression: {_words(error)}") from None
    if regex.programsize > max_instructions:
        reason = f"{regex.programsize:,} instructions, not {max_instructions:,} at most"
        raise PatternError(f"the pattern is too large: {reason}")
    return regex, regex.programsize


def _words(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
