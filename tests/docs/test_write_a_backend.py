"""The tutorial that builds a storage engine ends with the package in `examples/custom_backend`, byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs/tutorial/write-a-backend.md"
EXAMPLE = TOP / "examples/custom_backend"


def test_the_tutorials_last_version_of_each_file_is_the_example() -> None:
    blocks = re.findall(
        r'^```\w+ title="aimstore-sqlite/([^"\n]+)"\n(.*?)^```$', PAGE.read_text(encoding="utf-8"), re.DOTALL | re.M
    )
    example = {
        str(file.relative_to(EXAMPLE)): file.read_text(encoding="utf-8")
        for pattern in ("*.toml", "*.md", "*.py")
        for file in EXAMPLE.rglob(pattern)
    }
    assert dict(blocks) == example  # of several blocks with one title the last counts
