"""The shape of a repository: how many runs, which parameters and sequences, how long, how large. It holds no values, and numbers
instead of names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aimstore.bench.documents import Format
from aimstore.encoding.values import encode_value
from aimstore.errors import ConfigError
from aimstore.plugins.objects import to_object
from aimstore.storage.layout import NUMBER

if TYPE_CHECKING:
    from aimstore.repo import Repo
    from aimstore.run import Run
    from aimstore.sequences.sequence import Sequence

FORMAT: Final = Format("aimstore-shape", 1, "aimstore bench record")

SIZE_SAMPLES: Final = 32
"""Records of a sequence of objects whose size is looked at, at most."""

KINDS: Final = {bool: "bool", int: "int", float: "float", str: "str", bytes: "bytes", type(None): "none", list: "list"}
"""Kinds of parameters by their type; any other is "other", and replayed as bytes."""


@dataclass(frozen=True)
class Leaf:
    """A parameter: its place in the tree by numbers, its kind, and the bytes of its encoded value."""

    path: tuple[int, ...]
    kind: str
    nbytes: int


@dataclass(frozen=True)
class SequenceShape:
    """A sequence.

    Attributes:
        name: number of its name.
        context: number of its context; 0 is the empty one.
        kind: "float" or "int" of a metric, else "object".
        records: how many there are.
        nbytes: bytes of one record, encoded; the median of some. 8 of a metric.
        stride: steps from one record to the next; 0 where they do not increase.
    """

    name: int
    context: int
    kind: str
    records: int
    nbytes: int
    stride: int


@dataclass(frozen=True)
class RunShape:
    """Runs that are alike."""

    count: int
    leaves: tuple[Leaf, ...] = ()
    sequences: tuple[SequenceShape, ...] = ()


@dataclass(frozen=True)
class Shape:
    """All runs of a repository, as groups of those that are alike."""

    runs: tuple[RunShape, ...] = field(default=())

    @property
    def count(self) -> int:
        """How many runs there are."""
        return sum(run.count for run in self.runs)


class _Numbering:
    """Numbers instead of names, in the order in which they turn up."""

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}

    def of(self, name: Hashable) -> int:
        return self._known.setdefault(name, len(self._known))


def record(repo: Repo, advance: Callable[[int, int], None] = lambda done, total: None) -> Shape:
    """The shape of a repository.

    Args:
        advance: called with the number of runs done and of all.
    """
    names, contexts, keys = _Numbering(), _Numbering(), _Numbering()
    contexts.of("{}")
    groups: Counter[tuple[tuple[Leaf, ...], tuple[SequenceShape, ...]]] = Counter()
    total = len(repo.list_runs())
    for done, run in enumerate(repo.iter_runs(), 1):
        leaves = tuple(_leaves(run[...], keys, ()))
        sequences = tuple(_sequence(run, each, names, contexts) for each in run.sequences())
        groups[leaves, sequences] += 1
        advance(done, total)
    return Shape(tuple(RunShape(count, *shape) for shape, count in groups.most_common()))


def _leaves(tree: Mapping[Any, Any], keys: _Numbering, above: tuple[int, ...]) -> Iterator[Leaf]:
    for key, value in tree.items():
        path = (*above, keys.of(key))
        if isinstance(value, dict) and value:
            yield from _leaves(value, keys, path)
        else:
            yield Leaf(path, KINDS.get(type(value), "other"), _size(value))


def _size(value: Any) -> int:
    return len(encode_value(value, to_object=to_object))


def _sequence(run: Run, sequence: Sequence, names: _Numbering, contexts: _Numbering) -> SequenceShape:
    name, context = names.of(sequence.name), contexts.of(json.dumps(sequence.context, sort_keys=True, default=str))
    records, first, last = sequence.count, sequence.first_step, sequence.last_step
    stride = 0
    if records and first is not None and last is not None:
        stride = max(1, round((last - first) / (records - 1))) if records > 1 else 1
    if sequence.kind == NUMBER:
        kind = "int" if type(getattr(sequence, "last", None)) is int else "float"
        return SequenceShape(name, context, kind, records, 8, stride)
    sizes = sorted(_size(each.value) for each in islice(sequence, SIZE_SAMPLES))
    return SequenceShape(name, context, "object", records, sizes[len(sizes) // 2] if sizes else 0, stride)


def to_json(shape: Shape) -> str:
    """A shape as text that `from_json` reads."""
    return FORMAT.to_json(asdict(shape))


def from_json(text: str, source: str = "shape") -> Shape:
    """The shape in a text; errors as `Format.parse`."""
    with FORMAT.parse(text, source) as content:
        return from_content(content)


def from_content(content: Mapping[str, Any]) -> Shape:
    """The shape of which `asdict` made this."""
    return Shape(tuple(_run(each) for each in content["runs"]))


def read_shape(path: Path) -> Shape:
    """The shape in a file, of a repository with runs; errors as `Format.read` and `Format.parse`."""
    shape = from_json(FORMAT.read(path), path.name)
    if not shape.count:
        raise ConfigError(f"{path.name} is the shape of a repository without runs")
    return shape


def _run(content: Mapping[str, Any]) -> RunShape:
    return RunShape(
        int(content["count"]),
        tuple(
            Leaf(tuple(map(int, each["path"])), str(each["kind"]), int(each["nbytes"])) for each in content["leaves"]
        ),
        tuple(SequenceShape(**each) for each in content["sequences"]),
    )
