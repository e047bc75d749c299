"""What the methods of the metadata store do, on SQLite and on the server that AIMSTORE_TEST_DATABASE_URL names."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore.errors import ClosedError, CorruptionError, EncodingError, InvalidRunHashError
from aimstore.metadata import Experiment, RunProperties, Tag
from aimstore.metadata.database import Database
from aimstore.metadata.store import MetadataStore

A, B, C = "a" * 24, "b" * 24, "c" * 24


@pytest.fixture
def store(each_store: MetadataStore) -> MetadataStore:
    return each_store


def test_a_new_run_has_the_given_properties_and_defaults_for_the_rest(store):
    store.create_run(A, name="first", experiment="base", created_at=1_700_000_000_000_001, tags=("z", "a", "a"))
    assert store.get_run(A) == RunProperties(
        A, name="first", experiment="base", tags=("a", "z"), created_at=1_700_000_000_000_001
    )
    store.create_run(B)
    assert store.get_run(B) == RunProperties(B)


def test_creating_a_run_again_fills_in_only_what_it_lacks(store):
    store.create_run(A, name="first", created_at=1, tags=("a",))
    store.update_run(A, finalized_at=5)
    store.create_run(A, name="second", experiment="late", created_at=2, tags=("b",))
    assert store.get_run(A) == RunProperties(
        A, name="first", experiment="late", tags=("a", "b"), created_at=1, finalized_at=5
    )


def test_update_sets_and_clears(store):
    store.create_run(A, name="first", experiment="base", description="long")
    store.update_run(A, name="other", experiment="next", archived=True, finalized_at=-(2**63))
    assert store.get_run(A) == RunProperties(
        A, name="other", experiment="next", description="long", archived=True, finalized_at=-(2**63)
    )
    store.update_run(A, name=None, experiment=None, description=None, archived=False, finalized_at=None)
    assert store.get_run(A) == RunProperties(A)


def test_the_empty_text_is_a_value(store):
    store.update_run(A, name="", experiment="", description="")
    assert store.get_run(A) == RunProperties(A, name="", experiment="", description="")


def test_update_of_a_missing_row_creates_it(store):
    store.update_run(A, name="found")
    store.update_run(B)
    assert store.all_runs() == {A: RunProperties(A, name="found"), B: RunProperties(B)}


def test_tags_are_added_and_removed_once(store):
    for _ in range(2):
        store.add_tag(A, "x")
        store.add_tag(A, "y")
        store.add_tag(B, "x")
    for _ in range(2):
        store.remove_tag(A, "x")
    store.remove_tag(A, "never made")
    assert store.all_runs() == {A: RunProperties(A, tags=("y",)), B: RunProperties(B, tags=("x",))}
    assert store.tags() == [Tag("x"), Tag("y")]


def test_names_that_differ_in_case_are_different(store):
    store.create_run(A, experiment="Base", tags=("T",))
    store.create_run(B, experiment="base", tags=("t",))
    assert {store.get_run(A).experiment, store.get_run(B).experiment} == {"Base", "base"}
    assert {tag.name for tag in store.tags()} == {"T", "t"}


def test_experiments_and_tags_have_properties_of_their_own(store):
    store.create_run(A, experiment="base")
    store.update_experiment("base", description="the first", archived=True)
    store.update_experiment("other")
    store.update_tag("good", color="#0f0", description="keep")
    assert store.experiments() == [Experiment("base", "the first", True), Experiment("other")]
    assert store.tags() == [Tag("good", "#0f0", "keep")]


def test_notes_are_kept_in_order_and_edited_by_id(store):
    first, second = store.add_note(A, "one"), store.add_note(A, "two")
    store.add_note(B, "elsewhere")
    assert store.update_note(A, first, "uno")
    assert [(note.id, note.text) for note in store.notes(A)] == [(first, "uno"), (second, "two")]
    assert all(note.created_at <= note.updated_at for note in store.notes(A))
    assert store.delete_note(A, second)
    assert not store.delete_note(A, second)
    assert not store.update_note(A, second, "gone")
    assert [note.text for note in store.notes(A)] == ["uno"]
    assert store.get_run(A) == RunProperties(A)


def test_a_note_of_another_run_is_out_of_reach(store):
    note = store.add_note(A, "mine")
    assert not store.update_note(B, note, "yours")
    assert not store.delete_note(B, note)
    assert [each.text for each in store.notes(A)] == ["mine"]


def test_the_id_of_a_deleted_note_is_never_given_to_another(store):
    first = store.add_note(A, "one")
    assert store.delete_note(A, first)
    second = store.add_note(A, "two")
    assert second != first
    store.replace_notes(A, store.notes(A))
    assert store.notes(A)[0].id not in (first, second)


@pytest.mark.parametrize("note", [0, -1, 2**31, 2**70])
def test_an_id_that_no_note_can_have_finds_none(store, note):
    store.add_note(A, "one")
    assert not store.update_note(A, note, "x")
    assert not store.delete_note(A, note)


@pytest.mark.parametrize("note", ["1", 1.0, True, None])
def test_the_id_of_a_note_is_an_int(store, note):
    store.add_note(A, "one")
    for write in (lambda: store.update_note(A, note, "x"), lambda: store.delete_note(A, note)):
        with pytest.raises(EncodingError, match="the id of a note is an int"):
            write()
    with pytest.raises(EncodingError, match="note is a str"):
        store.add_note(A, 3)


def changes(store, restore=None):
    """Everything that changes one run and returns its properties."""
    return {
        "update": lambda: store.update_run(A, description="new", restore=restore),
        "add_tag": lambda: store.add_tag(A, "new", restore=restore),
        "remove_tag": lambda: store.remove_tag(A, "old", restore=restore),
        "finish": lambda: store.finish_run(A, 9, restore=restore),
    }


@pytest.mark.parametrize("change", ["update", "add_tag", "remove_tag", "finish"])
def test_a_change_returns_all_properties_as_they_are_then(store, change):
    store.create_run(A, name="first", experiment="base", created_at=1, tags=("old", "z"))
    before = store.get_run(A)
    after = changes(store, restore=lambda: pytest.fail("the row is there"))[change]()
    assert after == store.get_run(A) != before


@pytest.mark.parametrize("change", ["update", "add_tag", "remove_tag", "finish"])
def test_a_change_of_a_lost_row_restores_the_rest(store, change):
    kept = RunProperties(A, "kept", "base", "text", True, ("old", "z"), created_at=1, finalized_at=2)
    store.create_run(B, tags=("old",))
    restored = changes(store, restore=lambda: kept)[change]()
    store.upsert_runs([kept])
    assert restored == changes(store)[change]()


def test_a_note_for_a_lost_row_restores_it(store):
    kept = RunProperties(A, "kept", "base", tags=("old",), created_at=1)
    store.add_note(A, "text", restore=lambda: kept)
    assert store.get_run(A) == kept


def test_a_row_that_cannot_be_restored_stays_lost(store):
    def restore():
        raise CorruptionError("the mirror is damaged")

    for change in changes(store, restore).values():
        with pytest.raises(CorruptionError, match="the mirror is damaged"):
            change()
    with pytest.raises(EncodingError):
        store.update_run(A, name="x", restore=lambda: RunProperties(A, tags=(3,)))
    assert store.all_runs() == {}


def test_a_change_is_one_transaction(store, monkeypatch):
    store.create_run(A, tags=("old",))
    begun = []
    write = Database.write
    monkeypatch.setattr(Database, "write", lambda self: begun.append("write") or write(self))
    monkeypatch.setattr(Database, "read", lambda self: pytest.fail("a second transaction"))
    for change in changes(store).values():
        change()
    assert begun == ["write"] * 4


def test_a_deleted_run_leaves_nothing_of_itself(store):
    for run in (A, B):
        store.create_run(run, experiment="base", tags=("x",))
        store.add_note(run, "text")
    store.delete_run(A)
    store.delete_run(C)
    assert store.get_run(A) is None
    assert store.notes(A) == []
    assert list(store.all_runs()) == [B]
    store.create_run(A)
    assert store.get_run(A) == RunProperties(A)


def test_selected_runs_are_those_that_have_a_row(store):
    hashes = [f"{number:024x}" for number in range(1200)]
    store.upsert_runs([RunProperties(run, experiment=f"e{i}", tags=(f"t{i}",)) for i, run in enumerate(hashes)])
    assert store.runs([]) == {}
    assert store.runs([C, hashes[3], hashes[3]]) == {hashes[3]: RunProperties(hashes[3], experiment="e3", tags=("t3",))}
    assert store.runs([*hashes, A]) == store.all_runs()
    assert store.get_run("no hash at all") is None


def test_ends_are_noted_for_many_runs_and_make_no_rows(store):
    for run in (A, B):
        store.create_run(run, name="n", tags=("t",))
    store.finish_runs({A: 5, C: 7})
    assert store.all_runs() == {
        A: RunProperties(A, name="n", tags=("t",), finalized_at=5),
        B: RunProperties(B, name="n", tags=("t",)),
    }
    store.finish_runs({})
    with pytest.raises(EncodingError):
        store.finish_runs({A: 1.5})
    with pytest.raises(InvalidRunHashError):
        store.finish_runs({"a": 5})


def test_upsert_replaces_all_properties(store):
    before = RunProperties(A, "old", "base", "text", True, ("x", "y"), 1, 2)
    after = RunProperties(A, None, None, None, False, ("z",), 3, None)
    store.upsert_runs([])
    store.upsert_runs([before, RunProperties(B)])
    assert store.all_runs() == {A: before, B: RunProperties(B)}
    store.upsert_runs([after])
    assert store.all_runs() == {A: after, B: RunProperties(B)}


texts = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
times = st.none() | st.integers(-(2**63), 2**63 - 1)
names = st.sampled_from(["base", "Base", "émigré", "%_'\"", ""])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.dictionaries(st.sampled_from([A, B, C]), st.builds(
    RunProperties, st.just(""), texts, st.none() | names, texts, st.booleans(),
    st.frozensets(names).map(lambda tags: tuple(sorted(tags))), times, times,
)))  # fmt: skip
def test_whatever_is_written_is_read(store, drawn):
    for run in (A, B, C):
        store.delete_run(run)
    rows = {
        run: RunProperties(run, x.name, x.experiment, x.description, x.archived, x.tags, x.created_at, x.finalized_at)
        for run, x in drawn.items()
    }
    store.upsert_runs(list(rows.values()))
    assert store.all_runs() == rows
    assert store.runs(rows) == rows


@pytest.mark.parametrize("run", ["", "../../etc/passwd", "A" * 24, "a" * 25, None])
def test_what_is_no_run_hash_is_not_stored(store, run):
    store.ensure_schema()
    for write in (
        lambda: store.create_run(run),
        lambda: store.update_run(run, name="x"),
        lambda: store.add_tag(run, "x"),
        lambda: store.remove_tag(run, "x"),
        lambda: store.add_note(run, "x"),
        lambda: store.update_note(run, 1, "x"),
        lambda: store.delete_note(run, 1),
        lambda: store.delete_run(run),
        lambda: store.upsert_runs([RunProperties(run)]),
    ):
        with pytest.raises(InvalidRunHashError):
            write()
    assert store.all_runs() == {}


@pytest.mark.parametrize(
    ("fields", "culprit"),
    [
        ({"name": 3}, "name is a str, not int"),
        ({"name": "\ud800"}, "name cannot be stored"),
        ({"experiment": "x" * 513}, "experiment has 512 characters at most"),
        ({"archived": None}, "archived is a bool"),
        ({"created_at": 1.5}, "created_at is a whole number"),
        ({"finalized_at": 2**63}, "finalized_at is a whole number"),
    ],
)
def test_what_a_column_does_not_hold_is_refused_and_nothing_is_written(store, fields, culprit):
    with pytest.raises(EncodingError, match=culprit):
        store.update_run(A, **{"description": "good", **fields})
    assert store.get_run(A) is None


def test_an_unknown_property_is_refused(store):
    with pytest.raises(TypeError, match="no such property: nmae; there are name, "):
        store.update_run(A, nmae="x")


def test_a_closed_store_refuses_everything(store):
    store.create_run(A)
    store.close()
    store.close()
    with pytest.raises(ClosedError):
        store.get_run(A)
    with pytest.raises(ClosedError):
        store.add_tag(A, "x")


def test_importing_the_package_loads_no_sqlalchemy_and_using_it_loads_no_alembic(url, tmp_path):
    code = f"""
import contextlib, sys
from aimstore.metadata import RunProperties, open_store
assert "sqlalchemy" not in sys.modules
with open_store({url!r}, lock=contextlib.nullcontext) as store:
    store.create_run({A!r}, experiment="base")
    assert store.all_runs() == {{{A!r}: RunProperties({A!r}, experiment="base")}}
assert not [name for name in sys.modules if name.startswith(("alembic", "sqlalchemy.orm", "sqlalchemy.dialects.postg"))]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path)


def test_finishing_a_run_gives_all_its_properties(store):
    store.create_run(A, name="first", experiment="base", created_at=1, tags=("b", "a"))
    assert store.finish_run(A, 5) == RunProperties(
        A, name="first", experiment="base", tags=("a", "b"), created_at=1, finalized_at=5
    )
    assert store.finish_run(B, 6) == RunProperties(B, finalized_at=6)
    assert store.all_runs() == {run: store.get_run(run) for run in (A, B)}
    with pytest.raises(EncodingError):
        store.finish_run(A, 0.5)
