"""The SQLite backend passes the conformance kit, with SQLite itself as the oracle."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from aimstore.testing import BackendConformance


class TestSQLite(BackendConformance):
    backend_name = "sqlite"

    def oracle(self, directory: Path) -> dict[bytes, bytes]:
        with closing(sqlite3.connect(directory / "items.sqlite")) as database:
            return {key: stored[4:] for key, stored in database.execute("SELECT key, value FROM items")}
