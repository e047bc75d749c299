"""A repository that lives through everything, beside plain Python values of what its runs hold; queries must agree with these."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
from hypothesis import event, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from aimstore import Repo, Run
from aimstore.encoding.moments import from_microseconds
from aimstore.errors import AimstoreError, QueryRuntimeError, RunNotFoundError
from aimstore.metadata import default_properties
from aimstore.repository import ReindexLimits, RepositoryLimits, context_of
from aimstore.types import INDEX_PATH
from tests.laws import strategies
from tests.laws.dying import killed
from tests.laws.reference import Figures, Record, matching

MOST_RUNS = 7
SUBJECTS = st.sampled_from(["run", "run", "metric", "sequence"])


@dataclass
class Sequence:
    """What was tracked under one name and context.

    Attributes:
        records: step and value of each.
        settled: how many of them are surely counted by distinct steps; of later ones each counts, until the run ends.
    """

    name: str
    context: dict[str, Any]
    kind: str
    records: list[tuple[int, Any]] = field(default_factory=list)
    settled: int = 0

    def figures(self) -> Figures:
        kept = dict(self.records[: self.settled])
        later = self.records[self.settled :]
        steps = [*kept, *(step for step, _ in later)]
        found = Figures(self.name, self.context, self.kind, len(steps), min(steps), max(steps))
        if self.kind == "number":
            values = [*kept.values(), *(value for _, value in later)]
            real = [value for value in values if not math.isnan(value)]
            found.last = dict(self.records)[found.last_step]
            found.min, found.max = min(real, default=math.nan), max(real, default=math.nan)
        return found


@dataclass
class Known:
    """What is known of one run. `run` is what writes it, while it is open in this process."""

    hash: str
    run: Run | None
    attributes: dict[Any, Any] = field(default_factory=dict)
    sequences: list[Sequence] = field(default_factory=list)

    def settle(self) -> None:
        for each in self.sequences:
            each.settled = len(each.records)


NOW = datetime(2200, 1, 1, tzinfo=UTC)
"""The moment at which every query is asked: the duration of an active run depends on it."""


class Clock(datetime):
    """Stands at `NOW`."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return NOW


class Repository(RuleBasedStateMachine):
    """The law: index and hints give what a look at every run gives, whatever happened to the repository."""

    backend: ClassVar[str] = "memory"
    steps: ClassVar[int] = 0
    asked: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="law-"))
        self.repo = Repo.init(self.folder, backend=self.backend)
        self.reader = Repo(self.folder)
        self.runs: list[Known] = []
        self.damaged = False

    def teardown(self) -> None:
        for known in self.runs:
            if known.run is not None:
                known.run.close()
            with suppress(KeyError):
                if not self.damaged:
                    assert same(self.repo.get_run(known.hash)[...], known.attributes), known
        self.reader.close()
        self.repo.close()
        shutil.rmtree(self.folder)

    # Writing

    @initialize(
        attributes=st.lists(st.dictionaries(st.sampled_from(["a", "b"]), strategies.scalars), min_size=1, max_size=4)
    )
    def begin(self, attributes: list[dict[str, Any]]) -> None:
        for each in attributes:
            known = self._create(each)
            assert known.run is not None
            known.run.track(1.0, name="a")
            known.sequences = [Sequence("a", {}, "number", [(0, 1.0)])]
            self._close(known)

    def _create(self, attributes: dict[Any, Any], **properties: Any) -> Known:
        run = Run(repo=self.repo, **properties)
        run[...] = deepcopy(attributes)
        self.runs.append(Known(run.hash, run, deepcopy(attributes)))
        return self.runs[-1]

    @precondition(lambda self: len(self.runs) < MOST_RUNS)
    @rule(
        attributes=st.dictionaries(st.sampled_from(strategies.KEYS), strategies.values, max_size=4),
        properties=st.fixed_dictionaries(
            {}, optional={name: strategies.texts.filter(bool) for name in ("name", "experiment", "description")}
        ),
        tags=st.lists(strategies.labels, max_size=2),
    )
    def create(self, attributes: dict[Any, Any], properties: dict[str, str], tags: list[str]) -> None:
        Repository.steps += 1
        known = self._create(attributes, **properties, tags=tags)
        assert known.run is not None
        assert known.run.tags == tuple(sorted(set(tags)))

    def _some(self, data: st.DataObject, *, is_open: bool | None = None) -> Known | None:
        chosen = [each for each in self.runs if is_open is None or (each.run is not None) is is_open]
        return data.draw(st.sampled_from(chosen)) if chosen else None

    @rule(data=st.data(), path=strategies.paths, value=strategies.values)
    def set_parameter(self, data: st.DataObject, path: tuple[Any, ...], value: Any) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=True)
        if known is None or known.run is None:
            return
        place: Any = known.attributes
        for part in path[:-1]:
            if part in place and not isinstance(place[part], dict):
                return  # a path into a list, or below a value
            place = place.setdefault(part, {})
        known.run[path] = deepcopy(value)
        place[path[-1]] = value

    @rule(data=st.data())
    def delete_parameter(self, data: st.DataObject) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=True)
        if known is None or known.run is None or not known.attributes:
            return
        place, path = known.attributes, []
        while isinstance(place, dict) and place and (not path or data.draw(st.booleans())):
            path.append(data.draw(st.sampled_from(list(place))))
            above, place = place, place[path[-1]]
        del known.run[tuple(path)]
        del above[path[-1]]

    @rule(
        data=st.data(),
        name=strategies.names,
        context=strategies.contexts | st.just({}),
        found=st.lists(strategies.numbers, min_size=1, max_size=4),
        step=st.none() | st.none() | st.integers(-3, 3) | st.just(2**62),
    )
    def track(
        self, data: st.DataObject, name: str, context: dict[str, Any], found: list[Any], step: int | None
    ) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=True)
        if known is None or known.run is None:
            return
        for value in found:
            self._track(known, name, context, "number", value, step)

    @rule(data=st.data(), name=st.sampled_from(["text", "b text"]), context=strategies.contexts, text=strategies.texts)
    def track_text(self, data: st.DataObject, name: str, context: dict[str, Any], text: str) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=True)
        if known is not None and known.run is not None:
            self._track(known, name, context, "text", text, None)

    def _track(self, known: Known, name: str, context: dict[str, Any], kind: str, value: Any, step: int | None) -> None:
        assert known.run is not None
        known.run.track(value, name=name, step=step, context=context)
        sequence = next((each for each in known.sequences if each.name == name and same(each.context, context)), None)
        if sequence is None:
            sequence = Sequence(name, context, kind)
            known.sequences.append(sequence)
        if step is None:
            step = max((each for each, _ in sequence.records), default=-1) + 1
        sequence.records.append((step, value.item() if isinstance(value, np.generic) else value))

    @rule(
        data=st.data(), field=st.sampled_from(["name", "experiment", "description"]), text=strategies.texts.filter(bool)
    )
    def rename(self, data: st.DataObject, field: str, text: str) -> None:
        Repository.steps += 1
        known = self._some(data)
        if known is not None:
            run = known.run or self.repo.get_run(known.hash)
            setattr(run, field, text)
            assert getattr(run, field) == text

    @rule(data=st.data(), tag=strategies.labels, add=st.booleans())
    def tag(self, data: st.DataObject, tag: str, add: bool) -> None:
        Repository.steps += 1
        known = self._some(data)
        if known is not None:
            run = known.run or self.repo.get_run(known.hash)
            (run.add_tag if add else run.remove_tag)(tag)
            assert (tag in run.tags) is add

    @rule(data=st.data(), archived=st.booleans())
    def archive(self, data: st.DataObject, archived: bool) -> None:
        Repository.steps += 1
        known = self._some(data)
        if known is not None:
            run = known.run or self.repo.get_run(known.hash)
            run.archived = archived
            assert run.archived is archived

    @rule(data=st.data())
    def lose_the_row(self, data: st.DataObject) -> None:
        """The metadata database was lost, as far as one run goes: it has the defaults until its mirror is read."""
        Repository.steps += 1
        known = self._some(data)
        if known is not None and known.run is None:
            context_of(self.repo).database.delete_run(known.hash)

    # Ends

    @rule(data=st.data())
    def finalize(self, data: st.DataObject) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=True)
        if known is not None:
            self._close(known)

    def _close(self, known: Known) -> None:
        assert known.run is not None
        known.run.close()
        known.run = None
        known.settle()

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """What a killed process leaves, once its records are in the log: no lock, but the markers."""
        Repository.steps += 1
        known = self._some(data, is_open=True)
        if known is not None and known.run is not None:
            session = known.run._session
            assert session is not None
            session.flush()
            session._close_containers()
            session._release(is_settled=False)
            known.run = None

    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=False)
        if known is not None:
            known.run = Run(known.hash, repo=self.repo)
            known.settle()

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=False)
        if known is None:
            return
        self.runs.remove(known)
        try:
            self.repo.delete_run(known.hash)
        except AimstoreError:
            assert self.damaged

    # Care

    @rule(data=st.data(), rebuild=st.booleans(), together=st.integers(1, 3), stop=st.integers(0, 9))
    def reindex(self, data: st.DataObject, rebuild: bool, together: int, stop: int) -> None:
        """All at once, with queries of others in between; or given up in the middle."""
        Repository.steps += 1
        ended = {known.hash for known in self.runs if known.run is None}

        def advance(done: int, whole: int) -> None:
            if done > stop:
                raise KeyboardInterrupt
            self._settle_indexed(ended)
            self._ask(data, [self.reader])

        limits = RepositoryLimits(reindex=ReindexLimits(batch_runs=together))
        with patch.object(context_of(self.repo), "limits", limits), suppress(KeyboardInterrupt):
            report = self.repo.reindex(rebuild=rebuild, advance=advance if data.draw(st.booleans()) else None)
            assert not report.failed or self.damaged, report
            self.damaged &= not rebuild
        self._settle_indexed(ended)

    def _settle_indexed(self, ended: set[str]) -> None:
        """A dead run whose markers are gone was finalized."""
        marked = set(context_of(self.repo).backend.marked("meta/chunks/"))
        for known in self.runs:
            if known.hash in ended and f"meta/chunks/{known.hash}" not in marked:
                known.settle()

    @rule(data=st.data())
    def reindex_one(self, data: st.DataObject) -> None:
        Repository.steps += 1
        known = self._some(data, is_open=False)
        if known is not None:
            report = self.repo.reindex(known.hash)
            assert report.indexed == [known.hash] or self.damaged, report
            if report.indexed:
                known.settle()

    @rule(in_use=st.booleans())
    def lose_the_index(self, in_use: bool) -> None:
        Repository.steps += 1
        self.repo.close()
        if not in_use or self.backend == "memory":  # there a reader keeps what it has opened
            self.reader.close()
        if self.backend == "memory":
            context_of(self.repo).backend.delete(INDEX_PATH)
            return
        shutil.rmtree(self.folder / ".aim" / INDEX_PATH, ignore_errors=True)
        self.damaged = False

    # Worse

    @precondition(lambda self: self.backend != "memory")
    @rule(
        data=st.data(),
        attributes=st.dictionaries(st.sampled_from(["a", "b"]), strategies.scalars, max_size=2),
        moment=st.integers(1, 60),
        tracked=st.lists(st.floats(-9, 9), max_size=2).map(tuple),
    )
    def be_killed_while_writing(
        self, data: st.DataObject, attributes: dict[str, Any], moment: int, tracked: tuple[float, ...]
    ) -> None:
        Repository.steps += 1
        known = None if len(self.runs) < MOST_RUNS else self._some(data, is_open=False)
        if known is None and len(self.runs) >= MOST_RUNS:
            return
        run = killed(self.folder, "write", known and known.hash, moment, attributes, tracked)
        assert run, "it was killed too early"
        if known is None:
            known = Known(run, None)
            self.runs.append(known)
        known.settle()
        known.attributes.update(attributes)
        if tracked:
            context = {"of": "the dead"}
            sequence = next((each for each in known.sequences if each.context == context), None)
            if sequence is None:
                sequence = Sequence("a", context, "number")
                known.sequences.append(sequence)
            sequence.records += enumerate(tracked, len(sequence.records))

    @precondition(lambda self: self.backend != "memory")
    @rule(data=st.data(), doing=st.sampled_from(["delete", "reindex", "rebuild"]), moment=st.integers(1, 90))
    def be_killed_in_care(self, data: st.DataObject, doing: str, moment: int) -> None:
        Repository.steps += 1
        ended = {known.hash for known in self.runs if known.run is None}
        known = self._some(data, is_open=False)
        if known is None:
            return
        killed(self.folder, doing, known.hash, moment)
        self._settle_indexed(ended)
        if doing == "delete":
            with self._fresh() as fresh:
                try:
                    fresh.get_run(known.hash)[...]
                except RunNotFoundError:
                    self.runs.remove(known)

    @precondition(lambda self: self.backend != "memory")
    @rule(
        data=st.data(),
        how=st.sampled_from(["flip", "flip", "flip", "cut", "remove"]),
        file=st.integers(0, 9),
        places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4),
    )
    def damage_the_index(self, data: st.DataObject, how: str, file: int, places: list[float]) -> None:
        Repository.steps += 1
        self.reader.close()
        self.repo.close()
        there = sorted(
            each for each in (self.folder / ".aim" / INDEX_PATH).rglob("*") if each.is_file() and each.stat().st_size
        )
        if not there:
            return
        chosen = there[file % len(there)]
        content = bytearray(chosen.read_bytes())
        note(f"{how} {chosen.name}, {len(content)} bytes, at {[int(each * len(content)) for each in places]}")
        self.damaged = True
        if chosen.name.startswith("MANIFEST"):
            how = "remove"  # one that ends early, or seems to, is to RocksDB an older state of the database
        if how == "remove":
            chosen.unlink()
        elif how == "cut" or self.backend == "lmdb":  # LMDB follows a wrong page number to wherever it leads
            os.truncate(chosen, int(places[0] * len(content)))
        else:
            for place in places:
                content[int(place * len(content))] ^= 0xFF
            chosen.write_bytes(content)
        self._ask(data, [self.reader])

    # Asking

    def records(self) -> list[Record]:
        rows = context_of(self.repo).database.all_runs()
        found = []
        for known in self.runs:
            row = rows.get(known.hash) or default_properties(known.hash)
            active = known.run is not None
            created, finalized = from_microseconds(row.created_at), from_microseconds(row.finalized_at)
            if active:
                finalized = None
            properties = {
                **{name: getattr(row, name) for name in ("name", "experiment", "description", "archived", "tags")},
                "active": active,
                "created_at": created,
                "finalized_at": finalized,
                "duration": _duration(created, NOW if active else finalized),
            }
            sequences = [each.figures() for each in known.sequences]
            found.append(Record(known.hash, known.attributes, properties, sequences))
        return found

    @rule(data=st.data())
    def ask(self, data: st.DataObject) -> None:
        Repository.steps += 1
        self._ask(data, [self.reader])

    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        Repository.steps += 1
        self._ask(data, [self.repo])

    @rule(data=st.data())
    def ask_anew(self, data: st.DataObject) -> None:
        Repository.steps += 1
        with self._fresh() as fresh:
            self._ask(data, [fresh, self.reader])

    @rule(data=st.data())
    def ask_of_what_is_there(self, data: st.DataObject) -> None:
        """With constants that are there: hashes and dates."""
        Repository.steps += 1
        known = self._some(data)
        if known is None:
            return
        row = context_of(self.repo).database.get_run(known.hash)
        moment = None if row is None else data.draw(st.sampled_from([row.created_at, row.finalized_at]))
        moment = from_microseconds((moment or 0) + data.draw(st.sampled_from([0, 0, 1, -1])))
        there = data.draw(
            st.sampled_from(
                [
                    f"run.hash == '{known.hash}'",
                    f"run.hash in ['{known.hash}', 'a', '']",
                    f"run.name == 'Run: {known.hash}'",
                    f"run.name.startswith('Run: {known.hash[:9]}')",
                    *(f"run.created_at {order} datetime('{moment}')" for order in ("==", "<", "<=", ">", ">=")),
                    *(f"run.finalized_at {order} datetime('{moment}')" for order in ("==", "<", "<=", ">", ">=")),
                    f"run.created_at in [datetime('{moment}'), datetime(2024, 5, 1)]",
                    f"run.finalized_at in {{datetime('{moment}'), 1}}",
                ]
            )
        )
        subject = data.draw(SUBJECTS)
        other = data.draw(strategies.expressions(subject)) or "True"
        forms = [there, f"{there} and ({other})", f"{there} or ({other})", f"not ({there})"]
        expression = data.draw(st.sampled_from(forms))
        self._compare(subject, expression, [self.reader])

    @contextmanager
    def _fresh(self) -> Iterator[Repo]:
        fresh = Repo(self.folder)
        try:
            yield fresh
        finally:
            fresh.close()

    def _ask(self, data: st.DataObject, repos: list[Repo]) -> None:
        for _ in range(data.draw(st.integers(1, 4))):
            subject = data.draw(SUBJECTS)
            self._compare(subject, data.draw(strategies.expressions(subject)), repos)

    @patch("aimstore.repository.properties.datetime", Clock)
    def _compare(self, subject: str, expression: str, repos: list[Repo]) -> None:
        Repository.asked += 1
        expected, failed = matching(expression, subject, self.records())
        wanted = sorted(map(_identity, expected))
        note(f"{subject}: {expression} → {wanted}{' and errors' if failed else ''}")
        for repo in repos:
            found = getattr(repo, f"query_{subject}s")(expression)
            given = sorted(map(_identity, found))
            note(f"given {given}\n{found.explain()}")
            assert given == wanted, expression
            event(f"{subject}, {'hints' if 'none' not in found.explain() else 'no hints'}")
            assert found.count() == len(wanted), expression
            strict = getattr(repo, f"query_{subject}s")(expression, on_error="raise")
            try:
                given = sorted(map(_identity, strict))
            except QueryRuntimeError:
                assert failed, expression
            else:
                assert not failed, expression
                assert given == wanted, expression


def _duration(created: datetime | None, end: datetime | None) -> float | None:
    return None if created is None or end is None else max(0.0, (end - created).total_seconds())


def _identity(match: Any) -> tuple[Any, ...]:
    """What a match is, to compare by: the reference gives hashes and figures, a repository runs and sequences."""
    if isinstance(match, str):
        return (match,)
    if isinstance(match, Run):
        return (match.hash,)
    run, sequence = match if isinstance(match, tuple) else (match.run.hash, match)
    return run, sequence.name, repr(sorted(sequence.context.items()))


def same(left: Any, right: Any) -> bool:
    """Equal, NaN too, in types too."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, np.ndarray):
        return bool(np.array_equal(left, right))
    return repr(left) == repr(right)
