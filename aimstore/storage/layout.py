"""Where things lie in the two containers of a run, as path keys.

Meta container::

    ("attrs", *path)        the user's tree, one point per leaf
    ("props", name)         mirror of the structured properties (name, experiment, tags, …)
    ("seqs", id)            definition of a sequence: (name, context, kind)
    ("sums", id)            its summary: see `Summary`
    ("deleted",)            the run is being deleted: remove what is left of it

Sequence container::

    (id, ordinal)           a chunk, by the ordinal of its first point
    (id, "object", ordinal) one point too large for its chunk
    (id, "outline", level, ordinal)
                            the shape of a metric from that point on
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aimstore.abc import Container
from aimstore.encoding.keys import decode_path, encode_path
from aimstore.encoding.values import decode_value, encode_value
from aimstore.errors import CorruptionError
from aimstore.plugins.objects import from_object, to_object
from aimstore.storage.prefix import PrefixContainer
from aimstore.storage.tree import Tree
from aimstore.types import Context

ATTRS: Final = "attrs"
PROPS: Final = "props"
DEFINITIONS: Final = "seqs"
SUMMARIES: Final = "sums"
DELETED_KEY: Final = encode_path(("deleted",))
OBJECT: Final = "object"
OUTLINE: Final = "outline"

NUMBER: Final = "number"
"""Kind of a sequence whose values are numbers."""


class Summary(NamedTuple):
    """Facts about a sequence that are known without reading it.

    Attributes:
        points: number of points stored, which is the next point's ordinal.
        steps: number of distinct steps. Of several points with one step the last counts, so there may be fewer steps than
            `points`; while such a sequence is being written, this is an upper bound.
        ordered: the steps are strictly increasing, so that points are in step order and no step occurs twice.
        first_step: least step.
        last_step: greatest step.
        last: value at the greatest step; None where the sequence holds objects.
        min: least value that is not NaN; NaN where all values are; None where the sequence holds objects.
        max: greatest value, likewise.
    """

    points: int
    steps: int
    ordered: bool
    first_step: int
    last_step: int
    last: float | int | None
    min: float | int | None
    max: float | int | None


@dataclass(frozen=True)
class SequenceInfo:
    """One sequence of a run, as the meta container describes it. `summary` is None before the first point."""

    id: int
    name: str
    context: Context
    kind: str
    summary: Summary | None

    @property
    def count(self) -> int:
        """Number of steps with a value; an upper bound while a sequence with repeated steps is being written."""
        return 0 if self.summary is None else self.summary.steps

    @property
    def first_step(self) -> int | None:
        """Least step, None where there are no points."""
        return None if self.summary is None else self.summary.first_step

    @property
    def last_step(self) -> int | None:
        """Greatest step, None where there are no points."""
        return None if self.summary is None else self.summary.last_step

    @property
    def last(self) -> float | int | None:
        """Value at the greatest step; None where there are no points, or no numbers."""
        return None if self.summary is None else self.summary.last

    @property
    def min(self) -> float | int | None:
        """Least value that is not NaN, NaN where all are; None as for `last`."""
        return None if self.summary is None else self.summary.min

    @property
    def max(self) -> float | int | None:
        """Greatest value that is not NaN, NaN where all are; None as for `last`."""
        return None if self.summary is None else self.summary.max


def attributes(meta: Container) -> Tree:
    """The user's tree in a meta container. Its paths, also in errors, are the user's."""
    return Tree(PrefixContainer(meta, encode_path((ATTRS,))), to_object=to_object, from_object=from_object)


def definition_key(sequence: int) -> bytes:
    return encode_path((DEFINITIONS, sequence))


def summary_key(sequence: int) -> bytes:
    return encode_path((SUMMARIES, sequence))


def outline_key(sequence: int, level: int, ordinal: int) -> bytes:
    return encode_path((sequence, OUTLINE, level, ordinal))


def property_key(name: str) -> bytes:
    return encode_path((PROPS, name))


def encode_definition(name: str, context: Context, kind: str) -> bytes:
    return encode_value([name, context, kind])


def read_sequences(meta: Container) -> Iterator[SequenceInfo]:
    """The sequences that a meta container defines, by id."""
    summaries = {_last(key): _point(value, meta.path) for key, value in meta.items(encode_path((SUMMARIES,)))}
    for key, value in meta.items(encode_path((DEFINITIONS,))):
        sequence, definition = _last(key), _point(value, meta.path)
        if type(definition) is not list or len(definition) != 3:
            raise CorruptionError(f"{meta.path}: the definition of sequence {sequence!r:.80} is damaged")
        name, context, kind = definition
        yield sequence_info(sequence, name, context, kind, summaries.get(sequence), where=meta.path)


def read_properties(meta: Container) -> dict[str, Any]:
    """The mirrored structured properties."""
    return {str(_last(key)): _point(value, meta.path) for key, value in meta.items(encode_path((PROPS,)))}


def sequence_info(sequence: Any, name: Any, context: Any, kind: Any, summary: Any, *, where: str) -> SequenceInfo:
    """A sequence of which these were stored; `summary` is the list of the fields of a `Summary`, or None.

    Raises:
        CorruptionError: they are of other types, or cannot be; the message names `where`.
    """
    if not (
        type(sequence) is int
        and type(name) is str
        and type(kind) is str
        and type(context) is dict
        and all(type(key) is str for key in context)
        and (summary is None or _is_summary(summary))
    ):
        raise CorruptionError(f"{where}: the definition or summary of sequence {sequence!r:.80} is damaged")
    return SequenceInfo(sequence, name, context, kind, None if summary is None else Summary(*summary))


def _is_summary(fields: Any) -> bool:
    if type(fields) is not list or len(fields) != len(Summary._fields):
        return False
    points, steps, ordered, first_step, last_step, *figures = fields
    return (
        set(map(type, (points, steps, first_step, last_step))) == {int}
        and type(ordered) is bool
        and 0 < steps <= points
        and first_step <= last_step
        and all(type(figure) in _FIGURES for figure in figures)
    )


_FIGURES: Final = frozenset({int, float, bool, type(None)})


def _last(key: bytes) -> Any:
    """The last of the two parts of a key."""
    path = decode_path(key)
    if len(path) != 2:
        raise CorruptionError(f"a key of {len(path)} parts where two belong: {path!r:.80}")
    return path[1]


def _point(data: bytes, where: str) -> Any:
    try:
        return decode_value(data)
    except CorruptionError as error:
        raise CorruptionError(f"{where}: {error}") from error


def encode_summary(summary: Summary) -> bytes:
    return encode_value(list(summary))
