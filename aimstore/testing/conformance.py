"""The suite for backends: all requirements of a storage engine."""

from __future__ import annotations

from aimstore.testing.backends.listing import ListingTests
from aimstore.testing.backends.locks import LockTests
from aimstore.testing.backends.markers import MarkerTests
from aimstore.testing.backends.opening import OpeningTests
from aimstore.testing.backends.version import VersionTests
from aimstore.testing.containers.batch import BatchTests
from aimstore.testing.containers.capability import CapabilityTests, KeySizeTests
from aimstore.testing.containers.concurrency import ConcurrencyTests
from aimstore.testing.containers.corruption import CorruptionTests
from aimstore.testing.containers.crash import CrashTests
from aimstore.testing.containers.fork import ForkTests
from aimstore.testing.containers.lifecycle import LifecycleTests
from aimstore.testing.containers.oracle import OracleTests
from aimstore.testing.containers.range_delete import RangeDeleteTests
from aimstore.testing.containers.read import ReadTests
from aimstore.testing.containers.refresh import RefreshTests
from aimstore.testing.containers.reverse import ReverseTests
from aimstore.testing.containers.scan import ScanTests
from aimstore.testing.containers.snapshot import SnapshotTests
from aimstore.testing.containers.write import WriteTests
from aimstore.testing.stateful import StatefulTests


class BackendConformance(  # pytest runs the tests of the last base first
    StatefulTests,
    MarkerTests,
    LockTests,
    VersionTests,
    ListingTests,
    OpeningTests,
    OracleTests,
    CapabilityTests,
    KeySizeTests,
    CorruptionTests,
    CrashTests,
    ConcurrencyTests,
    RefreshTests,
    ForkTests,
    LifecycleTests,
    SnapshotTests,
    RangeDeleteTests,
    ReverseTests,
    ScanTests,
    BatchTests,
    WriteTests,
    ReadTests,
):
    """All tests of a backend and its containers.

    A backend passes if this class passes:

        class TestMine(BackendConformance):
            backend_name = "mine"

    See `Harness` for the other attributes and methods to set or override.
    """
