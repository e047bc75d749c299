"""Copies a whole repository to another engine, in any number of attempts.

Until the copy is complete, a container of the destination, `CONVERSION`, holds the progress::

    ("source",)         path of the repository that is converted
    ("runs", hash)      [checksum of meta, of seqs, version of meta in the source, of seqs], once the run is copied

A run is copied from the beginning if it has no such key, or has changed in the source since it was copied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from aimstore.abc import Backend, Container, Mode
from aimstore.config import get_value, set_value
from aimstore.encoding.keys import decode_path, encode_path
from aimstore.encoding.values import decode_value, encode_value
from aimstore.errors import AimstoreError, ConfigError, LockedError, LockOwner, RepositoryError
from aimstore.process import shield
from aimstore.repository.checksums import Checksums, verify
from aimstore.repository.context import RepositoryContext
from aimstore.repository.deletion import delete_run
from aimstore.repository.location import CONFIG, directory_of, is_empty
from aimstore.repository.opening import init_repository, open_repository
from aimstore.repository.reindex import Advance, ReindexReport, index_runs
from aimstore.repository.runs import is_run, list_runs, marked_runs
from aimstore.repository.transfer import copy, copy_labels
from aimstore.types import INDEX_PATH, META_PREFIX, meta_path, seqs_path

CONVERSION: Final = "meta/conversion"

Progress: TypeAlias = Callable[[str], AbstractContextManager[Advance]]
"""Called with the name of each step, for its duration; yields a function that takes the runs done and all runs."""

_SOURCE: Final = encode_path(("source",))
_RUNS: Final = encode_path(("runs",))


@dataclass
class ConversionReport:
    """The result of a conversion.

    Attributes:
        path: the new `.aim` directory.
        copied: runs that this attempt copied.
        present: runs that an earlier attempt copied.
        stalled: runs among both whose process died. They are stalled in the copy too; `reindex` there finalizes them.
        skipped: runs left out because a process is writing them.
        failed: runs that could not be copied, or whose copy differs, with the reason. They are not in the copy; the
            next attempt tries them again.
    """

    path: str
    copied: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    stalled: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@contextmanager
def without_progress(step: str) -> Iterator[Advance]:
    """A `Progress` that reports nothing."""
    yield lambda done, total: None


def convert(
    source: RepositoryContext,
    path: str | os.PathLike[str],
    *,
    backend: str,
    options: Mapping[str, Any] | None = None,
    metadata_url: str | None = None,
    skip_active: bool = False,
    progress: Progress = without_progress,
) -> ConversionReport:
    """Copy all runs of a repository into a new repository with another engine. See `Repo.convert`.

    Args:
        source: the repository to copy; it is not changed.
        path: the folder for the new `.aim`.
        backend, options, metadata_url: settings of the new repository; as for `Repo.init`.
        skip_active: leave out runs that a process is writing.
        progress: receives the progress of the conversion.

    Raises:
        LockedError: a process is writing runs and `skip_active` is false, or another conversion into `path` is running.
            Nothing was written.
        RepositoryError: `path` is in `source`, or holds a repository that is not an interrupted conversion of `source`.
        ConfigError: the settings are invalid, or differ from those of the interrupted conversion.
        StorageError: the destination could not be written. The runs copied so far stay for the next attempt.
    """
    _check_paths(source, path, metadata_url)
    active = _locked_runs(source.backend)
    if active and not skip_active:
        listed = "\n".join(f"  {run}  by {owner}" for run, owner in active.items())
        raise LockedError(
            f"runs in {source.path} are being written:\n{listed}\nwait until they end, or leave them out (--skip-active)"
        )
    destination = _destination(source, path, backend, options, metadata_url)
    try:
        report = ConversionReport(destination.path)
        with destination.backend.lock(CONVERSION) as lock:
            _check_destination(source, destination)
            with destination.backend.open(CONVERSION, Mode.WRITE, lock=lock) as state:
                state.put(_SOURCE, encode_value(os.path.realpath(source.path)))
                _convert(source, destination, state, report, skip_active, progress)
            if not report.failed:
                with shield:
                    destination.backend.delete(CONVERSION)
        return report
    finally:
        destination.close()


def _check_paths(source: RepositoryContext, path: str | os.PathLike[str], metadata_url: str | None) -> None:
    given, own = (os.path.realpath(each) for each in (directory_of(path), source.path))
    if given == own:
        raise RepositoryError(f"{own} cannot be converted in place; choose another folder for the copy")
    if os.path.commonpath((given, own)) == own:
        raise RepositoryError(f"{given} lies within {own}, which is to be copied; choose another folder")
    if metadata_url and metadata_url == source.config.metadata_url:
        raise ConfigError(
            "the copy needs a metadata database of its own: metadata_url is that of the repository to be copied"
        )


def _locked_runs(backend: Backend) -> dict[str, LockOwner]:
    runs = sorted({*list_runs(backend), *marked_runs(backend)})
    owners = {run: backend.lock_owner(meta_path(run)) for run in runs}
    return {run: owner for run, owner in owners.items() if owner is not None}


def _destination(
    source: RepositoryContext,
    path: str | os.PathLike[str],
    backend: str,
    options: Mapping[str, Any] | None,
    metadata_url: str | None,
) -> RepositoryContext:
    directory = directory_of(path)
    if not is_empty(directory):
        found = open_repository(directory).context
        try:
            _check_destination(source, found)
        finally:
            found.close()
    made = init_repository(directory, backend=backend, options=options, metadata_url=metadata_url).context
    file = made.directory / CONFIG
    for key, value in (("indexer.name", source.config.indexer), ("query.engine", source.config.query)):
        if get_value(file, key) != value:
            set_value(file, key, value)
    made.close()
    return open_repository(directory).context


def _check_destination(source: RepositoryContext, destination: RepositoryContext) -> None:
    """Return if the destination is empty or holds an interrupted conversion of `source`."""
    backend = destination.backend
    if backend.exists(CONVERSION):
        with backend.open(CONVERSION) as state:
            known = state.get(_SOURCE)
        if known is None or decode_value(known) == os.path.realpath(source.path):
            return
        raise RepositoryError(
            f"{destination.path} is an interrupted conversion of {decode_value(known)}; choose another folder"
        )
    if backend.list(META_PREFIX) or backend.marked(META_PREFIX):
        raise RepositoryError(
            f"{destination.path} holds runs, and is no interrupted conversion of {source.path}; choose an empty folder"
        )


def _convert(
    source: RepositoryContext,
    destination: RepositoryContext,
    state: Container,
    report: ConversionReport,
    skip_active: bool,
    progress: Progress,
) -> None:
    backend = destination.backend
    with backend.lock(INDEX_PATH, timeout=destination.limits.waits.index):
        backend.mark(INDEX_PATH)  # until the end, queries read every run's own container
    with shield:
        copy_labels(
            source,
            destination,
            {each.name for each in source.database.experiments()},
            {each.name for each in source.database.tags()},
        )
    runs = list_runs(source.backend)
    known = dict(_entries(state))
    for gone in sorted(set(known).difference(runs)):
        _drop(destination, state, gone)
    with progress("copying runs") as advance:
        for done, run in enumerate(runs, 1):
            _copy_one(source, destination, state, known.get(run), run, report, skip_active)
            advance(done, len(runs))
    known = dict(_entries(state))
    with progress("comparing runs") as advance:
        for done, (run, (meta, seqs, *_)) in enumerate(known.items(), 1):
            try:
                verify(backend, run, Checksums(meta, seqs))
            except (AimstoreError, OSError) as error:
                report.failed[run] = str(error)
                _drop(destination, state, run)
            advance(done, len(known))
    _index(destination, [run for run in known if run not in report.failed], report, progress)
    for runs in (report.copied, report.present):
        runs[:] = [run for run in runs if run not in report.failed]


def _entries(state: Container) -> Iterator[tuple[str, list[str]]]:
    return ((str(decode_path(key)[1]), decode_value(value)) for key, value in state.items(_RUNS))


def _copy_one(
    source: RepositoryContext,
    destination: RepositoryContext,
    state: Container,
    known: list[str] | None,
    run_hash: str,
    report: ConversionReport,
    skip_active: bool,
) -> None:
    try:
        with source.backend.lock(meta_path(run_hash)):
            if not is_run(source.backend, run_hash):
                if known is not None:
                    _drop(destination, state, run_hash)
                return
            versions = [source.backend.version(path) or "" for path in (meta_path(run_hash), seqs_path(run_hash))]
            if known is not None and known[2:] == versions and destination.backend.exists(meta_path(run_hash)):
                report.present.append(run_hash)
                return
            if destination.backend.exists(meta_path(run_hash)):
                _drop(destination, state, run_hash)
            found = copy(source, destination, run_hash, run_hash, bulk=True)
            state.put(encode_path(("runs", run_hash)), encode_value([found.meta, found.seqs, *versions]))
        report.copied.append(run_hash)
    except LockedError as error:
        if skip_active and source.backend.lock_owner(meta_path(run_hash)) is not None:
            report.skipped.append(run_hash)
            if known is not None:  # the run was resumed after an earlier attempt
                _drop(destination, state, run_hash)
        else:
            report.failed[run_hash] = str(error)
    except (AimstoreError, OSError) as error:
        report.failed[run_hash] = str(error)


def _drop(destination: RepositoryContext, state: Container, run_hash: str) -> None:
    """Remove a run from the copy, and its key from the progress."""
    with shield, destination.backend.lock(meta_path(run_hash)) as lock:
        state.delete(encode_path(("runs", run_hash)))
        delete_run(destination, run_hash, lock)


def _index(destination: RepositoryContext, runs: list[str], report: ConversionReport, progress: Progress) -> None:
    backend = destination.backend
    marked = set(marked_runs(backend))
    report.stalled = [run for run in runs if run in marked]
    indexed = ReindexReport()
    with progress("indexing runs") as advance:
        index_runs(destination, [run for run in runs if run not in marked], (), indexed, advance)
    report.failed.update(indexed.failed)
    report.failed.update((run, "is locked by another process") for run in indexed.active)
    if not report.failed:
        with backend.lock(INDEX_PATH, timeout=destination.limits.waits.index):
            backend.unmark(INDEX_PATH)
