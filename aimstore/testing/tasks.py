"""The tasks that the kit's tests run in other processes."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Final

from aimstore.abc import Backend, Container, Mode, WriteBatch
from aimstore.errors import ClosedError, LockedError
from aimstore.testing.data import OTHER_PATH
from aimstore.testing.process import Peer
from aimstore.testing.waiting import WAIT_SECONDS

PARTS: Final = 10
"""Number of items in each batch of `write_batches`."""


def batch(number: int) -> WriteBatch:
    """A batch that puts `PARTS` items of this number, and one item that every batch replaces."""
    made = WriteBatch()
    for part in range(PARTS):
        made.put(b"%08d/%d" % (number, part), b"%08d" % number * 50)
    made.put(b"last", b"%08d" % number)
    return made


def batches(count: int) -> dict[bytes, bytes]:
    """The items of a container after `count` batches."""
    items = {key: value or b"" for number in range(count) for _, key, value in batch(number).ops}
    return dict(sorted(items.items()))


def write_batches(backend: Backend, peer: Peer, path: str, how: str = "") -> None:
    """Write one batch after another, and send the number of each acknowledged batch.

    Args:
        how: "on request" waits for a request before each batch but the first; "flush" and "sync" flush before sending.
    """
    with backend.open(path, Mode.WRITE) as container:
        last = container.get(b"last")
        number = 0 if last is None else int(last) + 1
        while True:
            container.write(batch(number))
            if how in ("flush", "sync"):
                container.flush(sync=how == "sync")
            peer.say(number)
            number += 1
            if how == "on request":
                peer.hear()


def write_large_batches(backend: Backend, peer: Peer, path: str) -> None:
    """Write batches of several megabytes, and announce each batch."""
    with backend.open(path, Mode.WRITE) as container:
        number = 0
        while True:
            made = WriteBatch()
            for part in range(2000):
                made.put(b"%08d/%04d" % (number, part), b"%08d" % number * 200)
            peer.say(number)
            container.write(made)
            number += 1


def fill_and_leave(backend: Backend, peer: Peer, path: str, count: int, how: str) -> None:
    """Write `count` batches; then, depending on `how`, "close" the container, or leave it open and "exit" or
    "_exit"."""
    container = backend.open(path, Mode.WRITE)
    for number in range(count):
        container.write(batch(number))
    container.flush()
    peer.say(count)
    if how == "close":
        container.close()
    elif how == "_exit":
        os._exit(0)


def read(backend: Backend, peer: Peer, path: str) -> None:
    """Send all items, as hexadecimal digits; refresh and send them again whenever asked."""
    with backend.open(path) as container:
        while True:
            forward = list(container.items())
            assert forward == list(container.items(reverse=True))[::-1]
            peer.say([[key.hex(), value.hex()] for key, value in forward])
            peer.hear()
            container.refresh()


def follow(backend: Backend, peer: Peer, path: str, rounds: int) -> None:
    """Read beside a writer, refreshing and reopening: only whole batches appear, with all batches before them.

    Sends the number of the last batch after each round.
    """
    least = 0
    with backend.open(path) as reader:
        for _ in range(rounds):
            reader.refresh()
            least = _look(reader, least)
            with backend.open(path) as another:
                least = _look(another, least)
            peer.say(least)


def _look(container: Container, least: int) -> int:
    items = dict(container.items())
    last = int(items[b"last"])
    assert last >= least, f"batch {least} was seen before, and now {last} is the last"
    assert items == batches(last + 1), f"of the batches up to {last}, {len(items)} items are there"
    return last


def delete_again_and_again(backend: Backend, peer: Peer, path: str) -> None:
    """Fill and delete a container repeatedly, and announce each deletion."""
    while True:
        with backend.lock(path) as lock:
            with backend.open(path, Mode.WRITE, lock=lock) as container:
                for number in range(20):
                    container.write(batch(number))
            peer.say()
            backend.delete(path)


def hold_lock(backend: Backend, peer: Peer, path: str) -> None:
    """Hold a lock until asked to release it; then confirm, and wait for the end."""
    lock = backend.lock(path)
    peer.say([lock.owner.host, lock.owner.pid, lock.owner.since, lock.owner.token])
    peer.hear()
    lock.release()
    peer.say()
    peer.hear()


def wait_for_lock(backend: Backend, peer: Peer, path: str, timeout: float) -> None:
    """Send "waiting", then "held" or "locked": whether the lock was free within `timeout` seconds."""
    peer.say("waiting")
    try:
        with backend.lock(path, timeout=timeout):
            peer.say("held")
    except LockedError:
        peer.say("locked")


def take_turns(backend: Backend, peer: Peer, path: str, rounds: int, token: str) -> None:
    """Take the lock `rounds` times; a file that exists only while the lock is held must not exist before."""
    peer.say()
    peer.hear()
    for _ in range(rounds):
        with backend.lock(path, timeout=WAIT_SECONDS):
            descriptor = os.open(token, os.O_CREAT | os.O_EXCL)
            os.close(descriptor)
            Path(token).unlink()
    peer.say("done")


def mark(backend: Backend, peer: Peer, path: str) -> None:
    """Set a marker, and remove it when asked to."""
    backend.mark(path)
    peer.say()
    peer.hear()
    backend.unmark(path)
    peer.say()


def fork_and_leave(backend: Backend, peer: Peer, path: str) -> None:
    """Fork with open containers, a scan and a lock; the child tries to use them and ends as programs end."""
    writer = backend.open(path, Mode.WRITE)
    for number in range(20):
        writer.write(batch(number))
    reader = backend.open(path)
    scan = writer.items()
    next(scan)
    lock = backend.lock(OTHER_PATH)
    child = os.fork()
    if child == 0:
        for use in (lambda: writer.get(b"last"), lambda: writer.put(b"child", b""), reader.first, lambda: next(scan)):
            try:
                use()
            except ClosedError:
                continue
            os._exit(3)
        writer.close()
        reader.close()
        lock.release()
        del writer, reader, scan, lock
        gc.collect()
        raise SystemExit(0)
    peer.say(child)
    peer.say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    lock.check()
    assert len(list(scan)) == 20 * PARTS
    writer.put(b"parent", b"after the fork")
    writer.flush(sync=True)
    peer.hear()
    writer.close()
    reader.close()
    lock.release()
    peer.say()
