"""Processes that are killed: in the middle of writing, ending, indexing or deleting runs."""

from __future__ import annotations

import atexit
import inspect
import os
import pickle
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests import crash_points

PROGRAM = (
    inspect.getsource(crash_points)
    + """
import pickle
import aimstore_rocksdb.container, aimstore.metadata.store, aimstore.sequences.writer, aimstore_lmdb.backend
from aimstore import Repo, Run
from aimstore.plugins import plugins
plugins().backends(), plugins().indexers(), plugins().query_engines(), plugins().object_types()

def perform(folder, doing, run_hash, attributes, tracked, moment):
    repo = Repo(folder)
    if doing == "write":
        run = Run(run_hash, repo=repo)
        for key, value in attributes.items():
            run[key] = value
        for value in tracked:
            run.track(value, name="a", context={"of": "the dead"})
        run.flush()
        os.write(1, run.hash.encode())
    die_at(moment)
    if doing == "write":
        run.close()
    elif doing == "delete":
        repo.delete_run(run_hash)
    else:
        repo.reindex(rebuild=doing == "rebuild")

while size := sys.stdin.buffer.read(8):
    order = pickle.loads(sys.stdin.buffer.read(int.from_bytes(size, "big")))
    child = os.fork()
    if not child:
        try:
            perform(*order)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)  # if not before; nothing of the parent's is ended twice
    os.waitpid(child, 0)
    os.write(1, b"\\n")
"""
)


@cache
def _server() -> subprocess.Popen[bytes]:
    """Forks a process for each order, from one that has imported everything and opened nothing: that takes 10 ms."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    atexit.register(stop)
    return server


def stop() -> None:
    """End the process that forks the others."""
    if _server.cache_info().currsize:
        server = _server()
        _server.cache_clear()
        atexit.unregister(stop)
        server.send_signal(signal.SIGKILL)
        server.communicate()


def killed(
    folder: Path,
    doing: str,
    run_hash: str | None,
    moment: int,
    attributes: dict[Any, Any] | None = None,
    tracked: tuple[float, ...] = (),
) -> str:
    """What a process does in a repository before it is killed, at one of its moments, or else at its end.

    Args:
        folder: that of the repository.
        doing: "write" (and the run is ended; all before that is in the log), "delete", "reindex" or "rebuild".
        run: hash of the run; None makes one.
        moment: number of the step that is not done, of those that change a file, from the end of writing.
        attributes, tracked: what is set and tracked.

    Returns:
        The hash of the run that was written.
    """
    order = pickle.dumps((folder, doing, run_hash, attributes or {}, tracked, moment))
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(len(order).to_bytes(8, "big") + order)
    server.stdin.flush()
    return server.stdout.readline().decode().strip()
