"""Results as pandas DataFrames: one row for each result, and columns named as in a query."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from aimstore.encoding.tensors import python_scalar
from aimstore.errors import UnsupportedError
from aimstore.index.entry import LazyLeaf
from aimstore.plugins.objects import with_objects
from aimstore.query import RUN_PROPERTIES
from aimstore.types import TreePath

if TYPE_CHECKING:
    import pandas as pd

    from aimstore.repository.queried import QueriedRun
    from aimstore.storage.layout import SequenceInfo

_PROPERTIES: Final = (
    "name",
    "experiment",
    "created_at",
    "finalized_at",
    "duration",
    "active",
    "archived",
    "description",
    "tags",
)
_SUMMARY: Final = ("count", "first_step", "last_step", "last", "min", "max")
_MISSING: Final = object()
_INT64: Final = range(-(2**63), 2**63)


def run_frame(runs: Iterable[QueriedRun], *, params: bool) -> pd.DataFrame:
    """A row for each run; see `RunResults.dataframe`."""
    table = _Table(["hash", *_PROPERTIES])
    for run in runs:
        row = {"hash": run.hash, **{name: run.properties[name] for name in _PROPERTIES}}
        if params:
            row |= _params(run, "")
        table.add(row)
    return table.frame()


def metric_frame(found: Iterable[tuple[QueriedRun, SequenceInfo]], *, kinds: bool, params: bool) -> pd.DataFrame:
    """A row for each sequence; see `MetricResults.dataframe`."""
    contexts, parameters = _Table([]), _Table([])
    table = _Table(["run", "name", *(["kind"] if kinds else [])])
    summary = _Table([*_SUMMARY])
    of_run: tuple[str, dict[str, Any]] = ("", {})
    for run, info in found:
        table.add({"run": run.hash, "name": info.name} | ({"kind": info.kind} if kinds else {}))
        contexts.add({"context" + _below((key,)): value for key, value in info.context.items()})
        summary.add({name: getattr(info, name) for name in _SUMMARY})
        if params:
            if of_run[0] != run.hash:
                of_run = run.hash, _params(run, "run")
            parameters.add(of_run[1])
    return table.frame(contexts, summary, *([parameters] if params else []))


def _params(run: QueriedRun, before: str) -> dict[str, Any]:
    """The leaves of a run's tree, named as in a query; `before` precedes each name."""
    named: dict[str, Any] = {}
    for path, value in _leaves(run.attributes, ()):
        hidden = path[0] in RUN_PROPERTIES  # `run.name` is the property, and `run["name"]` the parameter
        name = f"[{path[0]!r}]" + _below(path[1:]) if hidden else _below(path)
        named[before + name if before else name.removeprefix(".")] = value
    return named


def _below(path: TreePath) -> str:
    return "".join(f".{part}" if isinstance(part, str) and part.isidentifier() else f"[{part!r}]" for part in path)


def _leaves(value: Any, path: TreePath) -> Iterator[tuple[TreePath, Any]]:
    if isinstance(value, LazyLeaf):
        value = value.load()
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif path:
        yield path, with_objects(deepcopy(value))


class _Table:
    """Columns of equal length, built row by row; a row may lack columns and may add columns."""

    def __init__(self, names: list[str]) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in names}
        self._length = 0

    def add(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            column = self._columns.setdefault(name, [])
            column.extend([_MISSING] * (self._length - len(column)))
            column.append(value)
        self._length += 1

    def frame(self, *beside: _Table) -> pd.DataFrame:
        """A frame of the columns of this table and of the tables `beside`, which have as many rows."""
        try:
            import pandas as pd
        except ImportError as error:
            raise UnsupportedError("dataframe() needs pandas: pip install 'aimstore[pandas]'") from error
        columns: dict[str, Any] = {}
        for table in (self, *beside):
            for name, values in table._columns.items():
                values.extend([_MISSING] * (table._length - len(values)))
                columns[name] = _series(pd, values)
        return pd.DataFrame(columns)


def _series(pd: Any, values: list[Any]) -> Any:
    """A column: of ints, floats, bools, UTC times or strings if all values are of one kind or missing; else of objects."""
    import numpy as np

    plain = [None if v is _MISSING else python_scalar(v) if isinstance(v, np.generic) else v for v in values]
    present = [value for value in plain if value is not None]
    kinds = set(map(type, present))
    absent = len(present) < len(plain)
    if kinds == {str}:
        return pd.Series(plain)
    if kinds == {datetime}:
        return pd.Series(pd.to_datetime(plain, utc=True))
    return pd.Series(plain, dtype=_dtype(kinds, present, absent))


def _dtype(kinds: set[type], present: list[Any], absent: bool) -> str:
    if kinds == {bool}:
        return "boolean" if absent else "bool"
    if kinds == {int} and all(value in _INT64 for value in present):
        return "Int64" if absent else "int64"
    if kinds and kinds <= {int, float} and all(abs(value) <= 2**53 for value in present if type(value) is int):
        return "float64"
    return "object"
