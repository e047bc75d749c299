"""From hints to candidates: scans postings and joins their runs, while that costs less than evaluating the runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from aimstore.abc import AllOf, Among, AnyOf, Candidates, Container, Hint, KeyRange, Term
from aimstore.index.postings import (
    ALL,
    RUN_BYTES,
    SEQUENCES,
    UNPOSTED,
    intersection,
    next_name,
    ranges,
)
from aimstore.types import TreePath

MAX_NAMES: Final = 1000
"""Maximum number of sequence names searched for a term about any sequence; if there are more, it excludes no run."""

FIRST_POSTINGS: Final = 256
"""Postings that each term of an `AllOf` reads first; the number doubles until one term has read all its postings."""

POSTINGS_PER_RUN: Final = 32
"""Postings worth reading to exclude one run; reading more costs as much as evaluating the run."""

MAX_LOOKUPS: Final = 10_000
"""Maximum number of runs to look up one by one; for more, the list of all runs is scanned."""

_Run = bytes


@dataclass
class _Found:
    """Runs for which a hint may be true.

    Attributes:
        exact: the hint is true for all of them.
        indexed: all of them are in the index.
    """

    runs: set[_Run]
    exact: bool
    indexed: bool = True


class Runs(Collection[str]):
    """Run hashes, stored as bytes. A list, without duplicates, becomes a set at the first membership test."""

    def __init__(self, runs: set[_Run] | list[_Run]) -> None:
        self._runs = runs

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[str]:
        return map(bytes.hex, self._runs)

    def __contains__(self, run: object) -> bool:
        if isinstance(self._runs, list):
            self._runs = set(self._runs)
        return isinstance(run, str) and bytes.fromhex(run) in self._runs


def find_candidates(index: Container, hint: Hint) -> Candidates | None:
    """The runs of an index container for which `hint` may be true; None means every run."""
    if isinstance(hint, Term) and hint.attribute[0] == "attrs" and hint.operator not in ("true", "defined"):
        within, exact = ranges(hint)
        once = [key[-RUN_BYTES:] for part in within for key, _ in index.scan(part)]  # a run has only one value there
        if index.first(UNPOSTED) is None:
            return Candidates(Runs(once), exact)
    found = _Search(index).find(hint)
    if found is None:
        return None
    runs = found.runs if found.indexed else _indexed(index, found.runs)
    unposted = {key[-RUN_BYTES:] for key in index.keys(UNPOSTED)}
    return Candidates(Runs(runs | unposted if unposted else runs), found.exact and not unposted)


def _indexed(index: Container, runs: set[_Run]) -> set[_Run]:
    """Those of `runs` that are in the index."""
    if len(runs) < MAX_LOOKUPS:
        found = index.get_many([ALL + run for run in runs])
        return {run for run, there in zip(runs, found, strict=True) if there is not None}
    return runs.intersection([key[-RUN_BYTES:] for key in index.keys(ALL)])


class _Search:
    def __init__(self, index: Container) -> None:
        self._index = index

    def find(self, hint: Hint) -> _Found | None:
        if isinstance(hint, Among):
            return _Found({bytes.fromhex(run) for run in hint.runs}, exact=True, indexed=False)
        if isinstance(hint, AllOf):
            return self._all(hint.hints)
        if isinstance(hint, AnyOf):
            return self._any(map(self.find, hint.hints))
        scan = self._scan(hint)
        return None if scan is None else scan.finish()

    def _any(self, answers: Iterable[_Found | None]) -> _Found | None:
        union = _Found(set(), exact=True)
        for answer in answers:
            if answer is None:
                return None
            union.runs |= answer.runs
            union.exact &= answer.exact
            union.indexed &= answer.indexed
        return union

    def _all(self, hints: tuple[Hint, ...]) -> _Found | None:
        """Join the answers to nested hints first, then scan terms as long as the scan is worth its cost."""
        flat = list(_flat(hints))
        answers = [self.find(hint) for hint in flat if not isinstance(hint, Term)]
        opened = [self._scan(hint) for hint in flat if isinstance(hint, Term)]
        known = [answer for answer in answers if answer is not None]
        scans = _merged(scan for scan in opened if scan is not None)
        if not known:
            if not scans:
                return None
            known.append(_first_to_end(scans))
        found = _joined(known)
        found.exact &= None not in answers and None not in opened
        for scan in scans:
            if scan.read(POSTINGS_PER_RUN * len(found.runs) + FIRST_POSTINGS):
                found = _Found(found.runs & scan.runs, found.exact and scan.exact)
            else:
                found.exact = False
        return found

    def _scan(self, term: Term) -> _Scan | None:
        """The postings of a term; None if the postings exclude no run."""
        if term.attribute[0] in ("attrs", "seqs"):
            return _Scan(self._index, term.attribute, *ranges(term))
        if term.attribute[0] != "any":
            return None
        found: list[KeyRange] = []
        exact = True
        names = list(islice(self._names(), MAX_NAMES + 1))
        if len(names) > MAX_NAMES:
            return None
        for name in names:
            if term.attribute[1] == "name":
                if _holds(term, name):
                    found.append(KeyRange.prefix(ranges(Term(("seqs", name, "kind"), "defined"))[0][0].start))
            else:
                there, sure = ranges(Term(("seqs", name, *term.attribute[1:]), term.operator, term.value))
                found += there
                exact &= sure
        return _Scan(self._index, term.attribute, found, exact)

    def _names(self) -> Iterator[str]:
        """The names of all sequences, each once."""
        within = KeyRange.prefix(SEQUENCES)
        while True:
            scan = self._index.scan(within)
            item = next(scan, None)
            scan.close()
            if item is None:
                return
            name, above = next_name(item[0])
            yield name
            within = KeyRange(above, within.stop)


class _Scan:
    """Ranges of postings, read in portions."""

    def __init__(self, index: Container, attribute: TreePath, within: list[KeyRange], exact: bool) -> None:
        self.attribute = attribute
        self.within = within
        self.exact = exact
        self.runs: set[_Run] = set()
        self._index = index
        self._left: Iterator[bytes] | None = None

    def read(self, steps: int) -> bool:
        """Read up to `steps` more postings; return whether these were the last."""
        if self._left is None:
            self._left = self._postings()
        taken = [key[-RUN_BYTES:] for key in islice(self._left, steps)]
        self.runs.update(taken)
        return len(taken) < steps

    def finish(self) -> _Found:
        for part in self.within:
            self.runs.update([key[-RUN_BYTES:] for key, _ in self._index.scan(part)])
        return _Found(self.runs, self.exact)

    def _postings(self) -> Iterator[bytes]:
        for part in self.within:
            for key, _ in self._index.scan(part):
                yield key


def _flat(hints: tuple[Hint, ...]) -> Iterator[Hint]:
    for hint in hints:
        if isinstance(hint, AllOf):
            yield from _flat(hint.hints)
        else:
            yield hint


def _joined(answers: list[_Found]) -> _Found:
    """The runs that are in all of `answers`."""
    by_size = sorted(answers, key=lambda answer: len(answer.runs))
    return _Found(
        set.intersection(*(answer.runs for answer in by_size)),
        all(answer.exact for answer in by_size),
        any(answer.indexed for answer in by_size),
    )


def _merged(scans: Iterable[_Scan]) -> list[_Scan]:
    """The scans; those of one leaf of the user's tree become one narrower scan: a run has only one value there."""
    merged: list[_Scan] = []
    for scan in scans:
        same = [each for each in merged if each.attribute == scan.attribute and scan.attribute[0] == "attrs"]
        if same:
            same[0].within = intersection(same[0].within, scan.within)
            same[0].exact &= scan.exact
        else:
            merged.append(scan)
    return merged


def _first_to_end(scans: list[_Scan]) -> _Found:
    """Read the shortest scan to its end, and remove it from `scans`."""
    steps = FIRST_POSTINGS
    while True:
        for scan in scans:
            if scan.read(steps):
                scans.remove(scan)
                return _Found(scan.runs, scan.exact)
        steps *= 2


def _holds(term: Term, name: str) -> bool:
    value = term.value
    match term.operator:
        case "defined":
            return True
        case "true":
            return bool(name)
        case "in":
            return name in value
        case "==":
            return bool(name == value)
        case "startswith":
            return name.startswith(value)
    if not isinstance(value, str):
        return False
    match term.operator:
        case "<":
            return name < value
        case "<=":
            return name <= value
        case ">":
            return name > value
        case ">=":
            return name >= value
    return False
