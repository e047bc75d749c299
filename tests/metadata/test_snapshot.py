"""Terms on structured properties answered by SQL, against a look at every row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore.abc import Term
from aimstore.encoding.moments import from_microseconds
from aimstore.metadata import RunProperties, default_properties
from aimstore.metadata.store import MetadataStore

RUNS = [f"{number:024x}" for number in range(6)]
MOMENTS = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=i) for i in range(3)]
TEXTS = ["", "a", "A", "ab", "ab ", "é", "default", "Run: ", f"Run: {RUNS[0]}", "%", "a_"]

MICROSECONDS = st.none() | st.sampled_from([int(moment.timestamp() * 1e6) for moment in MOMENTS])
PROPERTIES = st.fixed_dictionaries(
    {
        "name": st.none() | st.sampled_from(TEXTS),
        "experiment": st.none() | st.sampled_from(TEXTS),
        "description": st.none() | st.sampled_from(TEXTS),
        "archived": st.booleans(),
        "tags": st.lists(st.sampled_from(TEXTS), max_size=2, unique=True).map(lambda tags: tuple(sorted(tags))),
        "created_at": MICROSECONDS,
        "finalized_at": MICROSECONDS,
    }
)
CONSTANTS = st.sampled_from([*TEXTS, *MOMENTS, 0, 1, True, False, 2.5])
NAMES = st.sampled_from(
    ["name", "experiment", "description", "tags", "archived", "created_at", "finalized_at", "active"]
)
TERMS = (
    st.builds(
        lambda name, op, value: Term(("props", name), op, value), NAMES, st.sampled_from(["==", "has"]), CONSTANTS
    )
    | st.builds(lambda name, value: Term(("props", name), "in", tuple(value)), NAMES, st.lists(CONSTANTS, max_size=3))
    | st.builds(lambda name, value: Term(("props", name), "startswith", value), NAMES, st.sampled_from(TEXTS))
    | st.builds(lambda name: Term(("props", name), "true"), NAMES)
    | st.builds(
        lambda name, op, value: Term(("props", name), op, value),
        st.sampled_from(["created_at", "finalized_at"]),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from(MOMENTS),
    )
)


def holds(term: Term, row: RunProperties) -> bool:
    value: Any = getattr(row, term.attribute[1]) if term.attribute[1] != "active" else False
    if term.attribute[1].endswith("_at"):
        value = from_microseconds(value)
    constant = term.value
    compares: dict[str, Callable[[], bool]] = {
        "==": lambda: bool(value == constant),
        "in": lambda: value in constant,
        "has": lambda: isinstance(value, tuple) and constant in value,
        "startswith": lambda: isinstance(value, str) and value.startswith(constant),
        "true": lambda: bool(value),
        "<": lambda: value is not None and value < constant,
        "<=": lambda: value is not None and value <= constant,
        ">": lambda: value is not None and value > constant,
        ">=": lambda: value is not None and value >= constant,
    }
    return compares[term.operator]()


@pytest.fixture
def store(each_store: MetadataStore) -> MetadataStore:
    return each_store


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=st.lists(PROPERTIES, max_size=len(RUNS) - 1), terms=st.lists(TERMS, min_size=1, max_size=12))
def test_what_sql_finds_is_what_a_look_at_every_row_finds(
    store: MetadataStore, rows: list[dict[str, Any]], terms: list[Term]
) -> None:
    for run in RUNS:
        store.delete_run(run)
    known = [RunProperties(run, **row) for run, row in zip(RUNS, rows, strict=False)]
    store.upsert_runs(known)
    with store.snapshot() as snapshot:
        assert snapshot.all_hashes() == {row.hash for row in known}
        assert snapshot.archived() == {row.hash for row in known if row.archived}
        for term in terms:
            matching = snapshot.matching(term)
            if matching is None:
                continue
            right = {row.hash for row in known if holds(term, row)}
            assert right <= matching.runs
            assert right == matching.runs or not matching.exact
            if holds(term, default_properties(RUNS[0])):
                assert matching.rowless


def test_a_database_without_schema_is_empty(store: MetadataStore) -> None:
    with store.snapshot() as snapshot:
        assert snapshot.all_rows() == snapshot.rows(RUNS) == {}
        assert snapshot.archived() == snapshot.all_hashes() == frozenset()
        matching = snapshot.matching(Term(("props", "experiment"), "==", "a"))
        assert matching is not None
        assert matching.runs == frozenset()


@pytest.mark.parametrize("values", [(True,), (1, "x"), (1.0, True)])
def test_archived_runs_are_found_where_only_they_match(store: MetadataStore, values: tuple[Any, ...]) -> None:
    store.upsert_runs([RunProperties(RUNS[0], archived=True), RunProperties(RUNS[1])])
    with store.snapshot() as snapshot:
        matching = snapshot.matching(Term(("props", "archived"), "in", values))
        assert matching is not None
        assert matching.runs == {RUNS[0]}
        assert snapshot.matching(Term(("props", "archived"), "==", False)) is None


def test_moments_are_found_in_a_list_of_as_many_as_every_database_takes(store: MetadataStore) -> None:
    store.upsert_runs([RunProperties(RUNS[0], created_at=int(MOMENTS[1].timestamp() * 1e6)), RunProperties(RUNS[1])])
    many = tuple(MOMENTS[1] + timedelta(days=days) for days in range(1_001))
    with store.snapshot() as snapshot:
        matching = snapshot.matching(Term(("props", "created_at"), "in", many[:500]))
        assert matching is not None
        assert matching.runs == {RUNS[0]}
        assert snapshot.matching(Term(("props", "created_at"), "in", many)) is None
