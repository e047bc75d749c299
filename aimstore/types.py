"""Names and small types that all rooms share: run hashes, tree paths, container paths."""

from __future__ import annotations

import os
import re
from types import EllipsisType
from typing import Any, Final, TypeAlias

from aimstore.errors import InvalidRunHashError

TreePath: TypeAlias = tuple[str | int, ...]
"""A path in a tree: `("hparams", "layers", 0)`. `()` is the root."""

TreeKey: TypeAlias = TreePath | str | int | EllipsisType
"""A tree path as users write it: a tuple, a single part, or `...` for the root."""

Context: TypeAlias = dict[str, Any]
"""The dict that tells sequences of one name apart: `{"subset": "train"}`."""

INDEX_PATH: Final = "meta/index"
META_PREFIX: Final = "meta/chunks/"
SEQS_PREFIX: Final = "seqs/chunks/"

_RUN_HASH = re.compile(r"[0-9a-f]{24}")


def new_run_hash() -> str:
    """Return 24 random lower-case hexadecimal digits."""
    return os.urandom(12).hex()


def is_run_hash(value: object) -> bool:
    """Whether `value` is 24 lower-case hexadecimal digits."""
    return isinstance(value, str) and _RUN_HASH.fullmatch(value) is not None


def check_run_hash(value: object) -> str:
    """Return `value` if it is 24 lower-case hexadecimal digits.

    Raises:
        InvalidRunHashError: `value` is anything else. Such text must never become part of a path.
    """
    if isinstance(value, str) and _RUN_HASH.fullmatch(value):
        return value
    raise InvalidRunHashError(f"not a run hash: {value!r:.80}; a run hash is 24 lower-case hexadecimal digits")


def meta_path(run_hash: str) -> str:
    """Container path of a run's meta container."""
    return META_PREFIX + run_hash


def seqs_path(run_hash: str) -> str:
    """Container path of a run's sequence container."""
    return SEQS_PREFIX + run_hash
