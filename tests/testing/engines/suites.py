"""What the kit is to find in each broken engine; run by `test_faults_are_found.py`, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import broken
from hypothesis import Phase, settings

from aimstore.abc import Backend
from aimstore.testing.backends.listing import ListingTests
from aimstore.testing.backends.locks import LockTests
from aimstore.testing.backends.markers import MarkerTests
from aimstore.testing.backends.opening import OpeningTests
from aimstore.testing.backends.version import VersionTests
from aimstore.testing.containers.batch import BatchTests
from aimstore.testing.containers.capability import KeySizeTests
from aimstore.testing.containers.concurrency import ConcurrencyTests
from aimstore.testing.containers.corruption import CorruptionTests
from aimstore.testing.containers.crash import CrashTests
from aimstore.testing.containers.fork import ForkTests
from aimstore.testing.containers.lifecycle import LifecycleTests
from aimstore.testing.containers.read import ReadTests
from aimstore.testing.containers.refresh import RefreshTests
from aimstore.testing.containers.reverse import ReverseTests
from aimstore.testing.containers.scan import ScanTests
from aimstore.testing.containers.snapshot import SnapshotTests
from aimstore.testing.harness import Harness
from aimstore.testing.stateful import StatefulTests

settings.register_profile("first fault", phases=[Phase.generate], database=None, derandomize=True)
settings.load_profile("first fault")

FAULTS: dict[str, tuple[type[Harness], ...]] = {
    "LosesLastItem": (ScanTests, ReverseTests, StatefulTests),
    "EndsScansQuietly": (ScanTests, ReverseTests),
    "ComparesText": (ScanTests, ReverseTests, StatefulTests),
    "IncludesStopInReverse": (ReverseTests, StatefulTests),
    "ScansWhatIsThereNow": (SnapshotTests, StatefulTests),
    "ScansOutliveClose": (LifecycleTests,),
    "AnswersWhenClosed": (LifecycleTests, ForkTests),
    "TakesEmptyForMissing": (ReadTests, StatefulTests),
    "WritesOneByOne": (ConcurrencyTests,),
    "DeletesRangesFirst": (BatchTests, StatefulTests),
    "LeavesTheOldWhenDeleted": (ListingTests, StatefulTests),
    "NeverRefreshes": (RefreshTests, StatefulTests),
    "CutsLongKeys": (KeySizeTests,),
    "PromisesTooLongKeys": (KeySizeTests,),
    "MakesWhatItReads": (OpeningTests,),
    "KnowsVersionsBySize": (VersionTests,),
    "WritesWithoutItsLock": (LockTests,),
    "LockAdmitsTwo": (LockTests,),
    "ForgetsMarkers": (MarkerTests,),
    "HalfBatchesInFiles": (CrashTests,),
    "WritesLater": (CrashTests, RefreshTests),
    "OpensOnlyCleanLogs": (CrashTests,),
    "SwallowsCorruption": (CorruptionTests,),
    "ChildrenReleaseLocks": (ForkTests,),
    "LocksAreFilesLeftBehind": (LockTests,),
    "LocksAreLookedAtFirst": (LockTests,),
}
"""By the name of the engine: the parts of the kit, each of which must have a test that fails."""


def _open(self: Harness, root: Path) -> Backend:
    kind = getattr(broken, type(self).__name__.removeprefix("Test"))
    return kind() if issubclass(kind, broken.InMemory) else Harness.open_backend(self, root)


for _name, _parts in FAULTS.items():
    globals()[f"Test{_name}"] = type(
        f"Test{_name}",
        _parts,
        {"factory": f"broken:{_name}", "open_backend": _open, "examples": 50, "__module__": __name__},
    )
