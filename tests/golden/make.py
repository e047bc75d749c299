"""Makes the golden store of the present format: `python tests/golden/make.py ENGINE`. Run once for each format version and engine.

What it writes is kept for ever and must still open; `test_golden.py` compares it with `CONTENT`.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from aimstore import Repo, Run
from aimstore.config import FORMAT_VERSION

CONTENT: dict[str, Any] = {
    "lr": 0.1,
    "nested": {"empty": {}, "list": [1, "two", None, True], "tuple": (1, (2, 3)), "ü\0": "text", 5: -(2**63)},
    "big": 2**100,
    "when": datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
    "complex": 1 + 2j,
    "bytes": b"\x00\xff",
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "large": "x" * 10_000,
}
"""Parameters of the finished run."""


def losses() -> list[float]:
    """Values of the long sequence: more than one chunk of them."""
    return [1 / (i + 1) for i in range(10_000)]


def make(folder: Path, engine: str) -> None:
    """A repository with a finished run, and one that its writer never ended."""
    repo = Repo.init(folder, backend=engine)
    with Run(repo=repo, name="finished", experiment="golden", description="kept", tags=["a", "b"]) as run:
        run[...] = CONTENT
        for i, loss in enumerate(losses()):
            run.track(loss, name="loss", epoch=i // 1000, context={"subset": "train"})
        for step, value in [(3, 1), (1, 2.5), (3, True)]:
            run.track(value, name="mixed", step=step)
        run.track({"note": "text", "image": np.zeros((100, 100)), "value": {"a": [1, 2]}}, step=7)
    stalled = Run(repo=repo, name="stalled")
    stalled["x"] = 1
    for i in range(100):
        stalled.track(float(i), name="loss")
        if i % 10 == 0:
            stalled.flush(sync=True)
    stalled.flush(sync=True)
    target = Path(__file__).parent / f"format-{FORMAT_VERSION}-{engine}.tar.xz"
    with tarfile.open(target, "w:xz") as archive:
        archive.add(folder / ".aim", ".aim", filter=_without_locks)  # as a killed process would leave it
    stalled.close()


def _without_locks(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if "/locks/" in member.name else member


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), sys.argv[1])
