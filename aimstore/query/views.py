"""`run`, `metric` and `sequence` in a query: read-only views over an entry that the caller supplies."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Protocol

from aimstore.abc.query import Subject
from aimstore.query.compare import equal
from aimstore.query.costs import COSTS
from aimstore.query.limits import Budget
from aimstore.query.values import MISSING, BaseView, DictView, descend, wrap

STORED_PROPERTIES: Final = frozenset(
    {
        "name",
        "experiment",
        "description",
        "tags",
        "archived",
        "created_at",
        "finalized_at",
        "active",
        "duration",
    }
)
"""Structured properties of a run that `RunSource.properties` contains."""

RUN_PROPERTIES: Final = STORED_PROPERTIES | {"hash", "metrics"}
"""Names that `run.<name>` resolves before the user's attributes; `run["<name>"]` is always the user's attribute."""

METRIC_PROPERTIES: Final = frozenset(
    {"name", "context", "count", "first_step", "last_step", "last", "min", "max", "run"}
)
"""All names that `metric.<name>` can have."""

SEQUENCE_PROPERTIES: Final = METRIC_PROPERTIES | {"kind"}
"""All names that `sequence.<name>` can have."""

SUBJECTS: Final[dict[Subject, tuple[str, ...]]] = {
    "run": ("run",),
    "metric": ("run", "metric"),
    "sequence": ("run", "sequence"),
}
"""The names that the predicate of a query takes, in order, by subject."""

CLOSED: Final = {"metric": METRIC_PROPERTIES, "sequence": SEQUENCE_PROPERTIES}
"""Subjects whose attributes are all known in advance; a run has any stored attribute."""


_index_cost: Final = COSTS["index of sequences"]


class MetricSource(Protocol):
    """The summary of one sequence. `last`, `min` and `max` are None if the sequence does not hold numbers."""

    @property
    def name(self) -> str: ...
    @property
    def context(self) -> Mapping[str, Any]: ...
    @property
    def count(self) -> int: ...
    @property
    def first_step(self) -> int | None: ...
    @property
    def last_step(self) -> int | None: ...
    @property
    def last(self) -> Any: ...
    @property
    def min(self) -> Any: ...
    @property
    def max(self) -> Any: ...


class SequenceSource(MetricSource, Protocol):
    """The summary of one sequence of any kind: "number", "text", "image", …"""

    @property
    def kind(self) -> str: ...


class RunSource(Protocol):
    """The entry of one run.

    Attributes:
        hash: 24 hexadecimal digits.
        properties: `name`, `experiment`, `description` (str or None), `tags` (tuple of str), `archived`, `active`
            (bool), `created_at`, `finalized_at` (aware datetime in UTC, or None), `duration` (seconds, or None). A
            missing property is None. Properties are read only on request, so they may be computed.
        attributes: the user's tree as nested dicts; leaves may be `Loadable`.
        metrics: one summary per sequence.
    """

    @property
    def hash(self) -> str: ...
    @property
    def properties(self) -> Mapping[str, Any]: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...
    @property
    def metrics(self) -> Sequence[MetricSource]: ...


class RunView(BaseView):
    """`run` in a query. Reads its source only on request."""

    __slots__ = ("_metrics", "_source")

    def __init__(self, source: RunSource) -> None:
        self._source = source
        self._metrics: MetricsView | None = None

    def names(self) -> dict[str, Any]:
        return {"run": self}

    def attribute(self, name: str) -> Any:
        if name in RUN_PROPERTIES:
            if name == "hash":
                return self._source.hash
            if name == "metrics":
                if self._metrics is None:
                    self._metrics = MetricsView(self._source.metrics, self)
                return self._metrics
            return wrap(self._source.properties.get(name))
        return wrap(self._source.attributes.get(name, MISSING))

    def item(self, budget: Budget, key: Any) -> Any:
        if type(key) is tuple:
            return descend(budget, self, key)
        return wrap(self._source.attributes.get(key, MISSING)) if type(key) in (str, int) else MISSING

    def has(self, budget: Budget, key: Any) -> bool:
        return type(key) in (str, int) and key in self._source.attributes


class MetricsView(BaseView):
    """`run.metrics`: metrics by name, or by name and context; a loop over it yields metrics."""

    __slots__ = ("_by_name", "_run", "_sources")

    def __init__(self, sources: Sequence[MetricSource], run: RunView) -> None:
        self._sources = sources
        self._run = run
        self._by_name: dict[str, list[MetricSource]] | None = None

    def __bool__(self) -> bool:
        return bool(self._sources)

    def item(self, budget: Budget, key: Any) -> Any:
        """The metric of a name, or of a name and context, or `MISSING`.

        A name alone means the metric without context, or else the only metric of that name.

        Raises:
            LookupError: a name alone is ambiguous: several metrics have the name, all with contexts.
        """
        name, context = key if type(key) is tuple and len(key) == 2 else (key, None)
        named = self._named(budget, name)
        for source in named:
            if equal(budget, DictView(source.context), {} if context is None else context):
                return MetricView(source, self._run)
        if context is not None or not named:
            return MISSING
        if len(named) == 1:
            return MetricView(named[0], self._run)
        example = f"run.metrics[{name!r}, {reprlib.repr(dict(named[0].context))}]"
        raise LookupError(f"the run has {len(named)} metrics named {name!r}; give the context too, as in {example}")

    def has(self, budget: Budget, key: Any) -> bool:
        return bool(self._named(budget, key))

    def _named(self, budget: Budget, name: Any) -> list[MetricSource]:
        if type(name) is not str:
            return []
        if self._by_name is None:
            budget.charge(_index_cost(len(self._sources)))
            found: dict[str, list[MetricSource]] = {}
            for source in self._sources:
                found.setdefault(source.name, []).append(source)
            self._by_name = found
        return self._by_name.get(name, [])

    def elements(self) -> Iterator[Any]:
        return (MetricView(source, self._run) for source in self._sources)

    def size(self) -> int:
        return len(self._sources)


class MetricView(BaseView):
    """`metric` in a query: the summary of one sequence, and its run."""

    __slots__ = ("_run", "_source")

    subject: ClassVar[Subject] = "metric"
    properties: ClassVar[frozenset[str]] = METRIC_PROPERTIES

    def __init__(self, source: MetricSource, run: RunView) -> None:
        self._source = source
        self._run = run

    def names(self) -> dict[str, Any]:
        return {"run": self._run, self.subject: self}

    def attribute(self, name: str) -> Any:
        if name == "run":
            return self._run
        return wrap(getattr(self._source, name)) if name in self.properties else MISSING


class SequenceView(MetricView):
    """`sequence` in a query: the view of a metric that also has `kind`."""

    __slots__ = ()

    subject = "sequence"
    properties = SEQUENCE_PROPERTIES

    def __init__(self, source: SequenceSource, run: RunView) -> None:
        super().__init__(source, run)
