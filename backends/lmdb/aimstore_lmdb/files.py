"""The data file of an LMDB environment: what can be created and read without LMDB.

Layout of the format that LMDB 0.9 calls version 1, on 64-bit machines in their own byte order (`mdb.c`: MDB_page,
MDB_meta, MDB_db, MDB_node)::

    page header  number u64, pad u16, flags u16, lower u16, upper u16; of an overflow page the last two are its length
    page 0, 1    header, magic u32, version u32, address u64, map size u64,
                 two of (pad u32, flags u16, depth u16, branch u64, leaf u64, overflow u64, entries u64, root u64),
                 last page u64, transaction u64; the pad of the first is the page size, and the page whose transaction
                 is the higher one counts
    other pages  header, offsets of nodes u16[(lower - 16) / 2], …, nodes
    node         low u16, high u16, flags u16, key size u16, key, data; of a branch page the first three are the page
                 below, of a leaf page the first two are the size of the data

The first of the two trees, whose root is zero bits inverted where it is empty, lists the free pages: under each
transaction the number of pages that it freed, and these.

The lock file must not be opened here: closing it would drop the locks that LMDB holds on it in this process.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aimstore.errors import CorruptionError, StorageError
from aimstore.storage import storage_error

DATA: Final = "data.mdb"
LOCK: Final = "lock.mdb"
COMPACTED: Final = "data.mdb.compacted"

PAGE: Final = 2048
"""Bytes of a page in the files that are made here: the least power of two of which half holds the longest key."""

_HEADER: Final = struct.Struct("=QHHHH")
_META: Final = struct.Struct("=QHHHH II QQ IHHQQQQQ IHHQQQQQ QQ".replace(" ", ""))
_NODE: Final = struct.Struct("=HHHH")
_MAGIC: Final = 0xBEEFC0DE
_VERSION: Final = 1
_BRANCH: Final = 0x01
_LEAF: Final = 0x02
_IS_META: Final = 0x08
_INTEGER_KEY: Final = 0x08
_BIG_DATA: Final = 0x01
_NO_PAGE: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Meta:
    """The newer of the two meta pages.

    Attributes:
        transaction: number of the last committed transaction.
        last_page: greatest number of a page that is in use or was freed.
        page_size: size of a page in bytes.
        free_root: page number of the root of the tree of free pages.
    """

    transaction: int
    last_page: int
    page_size: int
    free_root: int


@dataclass(frozen=True, slots=True)
class State:
    """A data file as it is now: device and inode, mtime in ns, and the last committed transaction."""

    identity: tuple[int, int]
    mtime: int
    transaction: int


def make(directory: Path) -> None:
    """Create an empty environment in `directory`, unless there is one. The parent exists.

    LMDB would do the same, but in whichever of its formats an environment variable names.
    """
    with _opened(directory, os.O_RDWR | os.O_CREAT) as descriptor:
        # the remains of an empty environment, after a crash of the machine, count as none
        if os.fstat(descriptor).st_size <= 2 * PAGE and not os.pread(descriptor, 2 * PAGE, 0).strip(b"\0"):
            os.pwrite(descriptor, empty(), 0)


@contextmanager
def _opened(directory: Path, flags: int) -> Iterator[int]:
    with storage_error(directory / DATA):
        if flags & os.O_CREAT:
            directory.mkdir(exist_ok=True)
        descriptor = os.open(directory / DATA, flags | os.O_CLOEXEC, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def empty(map_size: int = 1 << 20, page_size: int = PAGE) -> bytes:
    """The two pages of an environment that holds nothing, as `mdb_env_init_meta` writes them."""
    tree = (0, 0, 0, 0, 0, _NO_PAGE)
    free, items = (page_size, _INTEGER_KEY, *tree), (0, 0, *tree)
    pages = (_META.pack(n, 0, _IS_META, 0, 0, _MAGIC, _VERSION, 0, map_size, *free, *items, 1, 0) for n in (0, 1))
    return b"".join(page.ljust(page_size, b"\0") for page in pages)


def is_container(directory: Path) -> bool:
    """Whether there is an environment in `directory` with at least one committed transaction."""
    try:
        size = os.stat(directory / DATA).st_size  # noqa: PTH116  Path.stat takes twice as long
    except (FileNotFoundError, NotADirectoryError):
        return False
    if size > 2 * PAGE:
        return True
    try:
        found = state(directory)
    except CorruptionError:
        return True
    return found is not None and found.transaction > 0


def state(directory: Path) -> State | None:
    """The state of the environment in `directory`, None where there is none.

    Raises:
        CorruptionError: the data file is not LMDB's.
    """
    try:
        with _opened(directory, os.O_RDONLY) as descriptor:
            stat = os.fstat(descriptor)
            if not stat.st_size:
                return None
            return State((stat.st_dev, stat.st_ino), stat.st_mtime_ns, _meta(descriptor, directory).transaction)
    except StorageError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise


def check(directory: Path) -> int:
    """The length of the data file in bytes, if it holds all pages that are in use.

    LMDB reads through a memory map, where the missing end of a file is a fatal signal. The last pages may be missing without
    fault, where the transaction that first used them also freed them.

    Raises:
        CorruptionError: the file is shorter than its meta page says.
    """
    with _opened(directory, os.O_RDONLY) as descriptor:
        while True:
            meta = _meta(descriptor, directory)
            length = os.fstat(descriptor).st_size
            used = (meta.last_page + 1) * meta.page_size
            if length >= used or _are_free(range(length // meta.page_size, meta.last_page + 1), descriptor, meta):
                return length
            if _meta(descriptor, directory) == meta:  # else a writer may have changed what was being read
                raise CorruptionError(f"{directory / DATA} was cut off: it has {length} of the {used} bytes in use")


def _are_free(pages: range, descriptor: int, meta: Meta) -> bool:
    try:
        free = _free_pages(descriptor, meta)
    except (struct.error, ValueError):
        return False
    return len(pages) <= len(free) and free.issuperset(pages)


def _meta(descriptor: int, directory: Path) -> Meta:
    first = _parse(os.pread(descriptor, _META.size, 0))
    second = first and _parse(os.pread(descriptor, _META.size, first.page_size))
    if first is None or second is None or first.page_size != second.page_size:
        raise CorruptionError(f"{directory / DATA} is not a data file of LMDB 0.9, or its first pages are damaged")
    return max(first, second, key=lambda meta: meta.transaction)


def _parse(page: bytes) -> Meta | None:
    if len(page) < _META.size:
        return None
    _, _, flags, _, _, magic, version, _, _, *trees, last_page, transaction = _META.unpack(page)
    page_size, free_root = trees[0], trees[7]
    if magic != _MAGIC or version != _VERSION or not flags & _IS_META:
        return None
    if page_size & (page_size - 1) or not 256 <= page_size <= 65536 or max(last_page, transaction) >> 62:
        return None
    return Meta(transaction, last_page, page_size, free_root)


def _free_pages(descriptor: int, meta: Meta) -> set[int]:
    """Numbers of the free pages. Raises `struct.error` or `ValueError` where they cannot be read."""
    free: set[int] = set()
    ahead = [] if meta.free_root == _NO_PAGE else [meta.free_root]
    seen = set(ahead)
    while ahead:
        page = os.pread(descriptor, meta.page_size, ahead.pop() * meta.page_size)
        _, _, flags, lower, _ = _HEADER.unpack_from(page)
        for offset in struct.unpack_from(f"={(lower - _HEADER.size) // 2}H", page, _HEADER.size):
            low, high, top, key_size = _NODE.unpack_from(page, offset)
            if flags & _BRANCH:
                below = low | high << 16 | top << 32
                if below in seen:
                    raise ValueError("a page is below itself")
                seen.add(below)
                ahead.append(below)
            elif flags & _LEAF:
                at, size = offset + _NODE.size + key_size, low | high << 16
                data = page[at : at + size]
                if top & _BIG_DATA:
                    (number,) = struct.unpack_from("=Q", page, at)
                    data = os.pread(descriptor, size, number * meta.page_size + _HEADER.size)
                (count,) = struct.unpack_from("=Q", data)
                free.update(struct.unpack_from(f"={count}Q", data, 8))
            else:
                raise ValueError("neither a branch nor a leaf")
    return free


def disk_usage(directory: Path) -> int:
    """Bytes that the files in `directory` take on the disk."""
    usage = 0
    for name in (DATA, LOCK):
        with suppress(FileNotFoundError, NotADirectoryError):
            usage += os.stat(directory / name).st_blocks * 512  # noqa: PTH116  as above
    return usage


def sync_directories(directory: Path) -> None:
    """Put the entries of `directory`, and its own entry, on the disk."""
    for each in (directory, directory.parent):
        with storage_error(each):
            descriptor = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def settle(directory: int, compacted: bool) -> None:
    """Replace the data file by the compacted one, and remove the table of readers. Nobody has either file open.

    A failure leaves the old file, which is good, if larger.

    Args:
        directory: a descriptor of the directory, which stays the same where another directory has replaced it.
        compacted: whether there is a compacted file.
    """
    with suppress(OSError):
        if compacted:
            os.rename(COMPACTED, DATA, src_dir_fd=directory, dst_dir_fd=directory)
        # last: if a crash leaves it beside the new file, the next process that opens the environment recreates it
        os.unlink(LOCK, dir_fd=directory)


def has_room(directory: Path, nbytes: int) -> bool:
    """Whether the disk has room for `nbytes` and the pages above them, as far as the file system tells."""
    with storage_error(directory):
        free = os.statvfs(directory)
    return free.f_bavail * free.f_frsize > 2 * nbytes + 64 * PAGE
