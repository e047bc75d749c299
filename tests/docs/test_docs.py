"""The documentation is true: its blocks run, its links lead somewhere, and its names, signatures and figures are the code's.

The blocks of a page run in order, in one process and a folder of its own:

    python                   executed, all of a page in one namespace
    python title="train.py"  saved as that file, for a later console line to run; so is any other block with a title, and
                             the title may begin with a folder: then a console line names the folder
    console                  each line that begins with "$ " is run by bash, benchmarks excepted; the lines below it are in its
                             output, in that order, where "…" stands for anything, and so does
                             what differs from run to run (see `VARYING`). "pip install -e './folder[extra]'" does what it
                             would, without the network: the folder and its entry points are on the path of what follows.
                             "timeout --signal=INT 3 command" interrupts the command when it has printed the lines below
    toml, json               parsed
    bash                     commands that set up an environment: only their form is checked
    text, mermaid            for people
"""

from __future__ import annotations

import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run, config, errors, repo, results
from aimstore.encoding.columns import Form
from aimstore.encoding.extensions import Code
from aimstore.metadata import models
from aimstore.repository.properties import RunNote
from aimstore.repository.reindex import ReindexReport
from aimstore.sequences.sequence import Metric, Point, Sequence
from aimstore.storage.layout import Summary
from aimstore_rocksdb.config import RocksDBOptions

TOP = Path(__file__).parents[2]
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", *sorted(DOCS.rglob("*.md"))]
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md")))
IDS = [str(page.relative_to(TOP)) for page in PAGES]
SLOW = {"docs/how-to/benchmark.md", "docs/reference/command-line.md", "docs/tutorial/write-a-backend.md"}
"""Pages whose blocks take long: they run benchmarks and the conformance kit."""

RUN, FOR_PEOPLE = ("python", "console"), ("text", "mermaid")
SET_UP = re.compile(
    r"python3 -m venv \.venv && \.venv/bin/pip install -q (-e )?'\.\[[a-z,]+\]' && \.venv/bin/python \S.*"
    r"|(\.venv/bin/)?pip install '[a-z0-9_.\[\],/-]+'( [a-z0-9-]+)*"
)
NOT_RUN = r"aimstore bench peers\b.*"  # takes minutes, and makes environments for other tools
VARYING = (
    r"…|\b[0-9a-f]{24}\b|(?<!\S)/\S*"
    r"|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?(?: [A-Z]+)?|\b[\d.]+ (?:ms|s|[KM]iB)\b"
)  # what differs from run to run: hashes, absolute paths, times, durations, sizes

RUNNER = r"""
import json, os, re, signal, subprocess, sys, tomllib
from pathlib import Path

def install(folder):
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    groups = project.get("entry-points", {}).items()
    lines = (line for group, points in groups for line in (f"[{group}]", *map(" = ".join, points.items())))
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    sys.path.insert(0, str(folder))

namespace = {"__name__": "__main__"}
for block in json.load(sys.stdin):
    where = f"{block['page']}, line {block['line']}"
    if block["title"]:
        Path(block["title"]).parent.mkdir(parents=True, exist_ok=True)
        Path(block["title"]).write_text(block["text"], encoding="utf-8")
    elif block["language"] == "python":
        exec(compile("\n" * block["line"] + block["text"], block["page"], "exec", dont_inherit=True), namespace)
    else:
        for command in re.split(r"^\$ ", block["text"], flags=re.MULTILINE)[1:]:
            line, _, expected = command.partition("\n")
            if re.fullmatch(sys.argv[1], line):
                continue
            if installed := re.fullmatch(r"pip install -e '\./([\w-]+)(?:\[\w+\])?'", line):
                install(Path(installed[1]).absolute())
                continue
            interrupted = re.match(r"timeout --signal=INT \d+ ", line)
            process = subprocess.Popen(["bash", "-euo", "pipefail", "-c", line[interrupted.end():] if interrupted else line],
                                       stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                       start_new_session=bool(interrupted))
            printed = ""
            if interrupted:
                printed = "".join(process.stdout.readline() for shown in filter(None, map(str.strip, expected.splitlines())))
                os.killpg(process.pid, signal.SIGINT)
            printed += process.communicate()[0]
            if process.returncode:
                sys.exit(f"{where}: `{line}` ended with {process.returncode}:\n{printed}")
            rest = " ".join(printed.split())
            for shown in filter(None, map(str.strip, expected.splitlines())):
                parts = [re.escape(" ".join(part.split())) for part in re.split(sys.argv[2], shown)]
                found = re.search(".*?".join(parts), rest)
                if found is None:
                    sys.exit(f"{where}: `{line}` does not print {shown!r}, or not there:\n{printed}")
                rest = rest[found.end():]
"""


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its fence, from 1."""

    page: str
    line: int
    language: str
    title: str
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    name = str(page.relative_to(TOP))
    opened: tuple[int, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not line.lstrip().startswith("```"):
            lines.append(line)
        elif opened is None:
            opened, lines = (number, line), []
        else:
            fence = re.fullmatch(r'```(\w*)(?: title="((?:[\w-]+/)*[\w.-]+)")?', opened[1])
            assert fence, f"{name}, line {opened[0]}: a fence is ```language, at the beginning of the line"
            yield Block(name, opened[0], fence[1], fence[2] or "", "\n".join(lines) + "\n")
            opened = None
    assert opened is None, f"{name}, line {opened[0]}: the block has no end" if opened else ""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name, marks=[pytest.mark.slow] * (name in SLOW))
        for page, name in zip(PAGES, IDS, strict=True)
    ],
)
def test_blocks_run(page: Path, tmp_path: Path) -> None:
    blocks = [block for block in blocks_of(page) if block.language in RUN or block.title]
    if not blocks:
        return
    commands = "".join(block.text for block in blocks if block.language == "console")
    for block in blocks:
        assert not block.title or block.title.partition("/")[0] in commands, (
            f"{block.page}, line {block.line}: nothing runs {block.title}"
        )
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIMSTORE_", "PYTEST_", "COV_"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.fspath(home),
        "PYTHONWARNINGS": "error",
        "COLUMNS": "120",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, NOT_RUN, VARYING],
        input=json.dumps([asdict(block) for block in blocks]),
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_blocks_that_are_not_run_are_right_in_form(page: Path) -> None:
    for block in blocks_of(page):
        where = f"{block.page}, line {block.line}"
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "bash":
            for line in block.text.splitlines():
                assert SET_UP.fullmatch(line), f"{where}: not a command that sets up an environment: {line}"
        else:
            assert block.language in (*RUN, *FOR_PEOPLE), f"{where}: no language, or none of those that are checked"


# Links


def headings_of(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links_of(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", text)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(TOP), f"{page.name}: {link} leaves the project"
        assert not anchor or anchor in headings_of(target), f"{page.name}: {link} has no such heading"


def test_the_index_names_every_page() -> None:
    index = DOCS / "index.md"
    named = {(DOCS / link.partition("#")[0]).resolve() for link in links_of(index)}
    assert {page for page in PAGES[1:] if page != index} - named == set()


# Names and signatures


def public_names(owner: Any) -> list[str]:
    return [name for name in vars(owner) if not name.startswith("_")]


@pytest.mark.parametrize(
    ("page", "owner"),
    [
        ("repo.md", Repo),
        ("run.md", Run),
        ("sequences-and-metrics.md", Sequence),
        ("sequences-and-metrics.md", Metric),
    ],
)
def test_the_reference_names_every_public_name(page: str, owner: type) -> None:
    text = (DOCS / "reference" / page).read_text(encoding="utf-8")
    assert [name for name in public_names(owner) if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", text)] == []


@pytest.mark.parametrize(
    "owner", [Point, RunNote, Summary, repo.RepoStatus, ReindexReport, results.Progress], ids=lambda it: it.__name__
)
def test_the_reference_names_every_field(owner: type) -> None:
    fields = list(owner._fields) if hasattr(owner, "_fields") else list(owner.__dataclass_fields__)  # type: ignore[attr-defined]
    assert [name for name in fields if f"`{name}`" not in REFERENCE] == []


def test_the_reference_names_every_error_with_its_bases() -> None:
    text = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE))
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.AimstoreError)
    }
    assert rows.keys() == classes.keys()
    for name, value in classes.items():
        assert re.findall(r"`(\w+)`", rows[name]) == [base.__name__ for base in value.__bases__], name


def documented_signatures() -> Iterator[tuple[str, str, str]]:
    """Owner, name and arguments of each heading such as "### `Repo.init(path='.')`"."""
    for page in sorted((DOCS / "reference").glob("*.md")):
        for owner, name, arguments in re.findall(
            r"^#+ `(Repo|Run|Sequence|Metric)(?:\.(\w+))?\((.*)\)`$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            yield owner, name or "__init__", arguments


@pytest.mark.parametrize(("owner", "name", "arguments"), [*documented_signatures()])
def test_signatures_are_those_of_the_code(owner: str, name: str, arguments: str) -> None:
    function = getattr({"Repo": Repo, "Run": Run, "Sequence": Sequence, "Metric": Metric}[owner], name)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "self"
    ]
    assert f"({arguments})" == str(inspect.Signature(parameters)).replace("'", '"')


def test_methods_have_their_signatures_in_the_reference() -> None:
    documented = {(owner, name) for owner, name, _ in documented_signatures()}
    for owner, names in {
        Repo: ["__init__", "init", "of", "query_runs", "query_metrics", "get_run", "delete_run", "reindex"],
        Run: ["__init__", "get", "track", "flush", "get_metric", "get_sequence", "add_tag", "remove_tag"],
        Sequence: ["points"],
        Metric: ["read", "sample"],
    }.items():
        assert {(owner.__name__, name) for name in names} - documented == set()


# Tables of figures, codes and settings


def table_rows(page: str, columns: int) -> list[list[str]]:
    """The rows of a page's tables of so many columns, cells without their backquotes."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")
    ]
    return [row for row in rows if len(row) == columns]


UNITS = {"": 1, "points": 1, "records": 1, "runs": 1, "bytes": 1, "s": 1, "ms": 0.001, "KiB": 1 << 10, "MiB": 1 << 20}


@pytest.mark.parametrize("page", ["explanation/writing.md", "explanation/reading-and-querying.md"])
def test_bounds_are_those_of_the_code(page: str) -> None:
    constant_or_field = r"aimstore[\w.]*\.(?:[A-Z_]+|[A-Z]\w+\.[a-z_]+)"
    rows = [row for row in table_rows(page, 3) if re.fullmatch(constant_or_field, row[2])]
    assert len(rows) > 3
    for _, figure, name in rows:
        number, _, unit = figure.replace(",", "").partition(" ")
        assert float(number) * UNITS[unit] == pytest.approx(pkgutil.resolve_name(name)), name


def test_codes_on_disk_are_those_of_the_code() -> None:
    found = {
        (row[1], int(row[0]))
        for row in table_rows("reference/storage-format.md", 3)
        if row[0].isdigit() and row[1].isupper()
    }
    assert {(form.name, form.value) for form in Form} | {(code.name, code.value) for code in Code} == found


def test_tables_of_the_metadata_database_are_those_of_the_code() -> None:
    written = {
        row[0]: set(re.findall(r"`(\w+)`", f"`{row[1]}`")) for row in table_rows("reference/storage-format.md", 2)
    }
    for table in [*models.tables.tables.values(), models.alembic_version]:
        assert written[table.name] == {column.name for column in table.columns}


def test_every_key_of_the_configuration_is_in_the_reference() -> None:
    text = (DOCS / "reference/configuration.md").read_text(encoding="utf-8")
    shown = next(block for block in blocks_of(DOCS / "reference/configuration.md") if block.language == "toml").text
    assert _keys(tomllib.loads(shown)) == set(config._KEYS)
    assert all(f"`{'.'.join(key)}`" in text for key in config._KEYS)


def _keys(tables: dict[str, Any], above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for name, value in tables.items():
        key = (*above, name)
        found |= {key} if key in config._KEYS else _keys(value, key)
    return found


def test_options_of_rocksdb_and_their_defaults() -> None:
    known = {field.name for field in fields(RocksDBOptions)}
    given = {
        row[0]: tomllib.loads(f"value = {row[1]}")["value"]
        for row in table_rows("reference/configuration.md", 3)
        if row[0] in known
    }
    assert given.keys() == known
    assert RocksDBOptions.parse(given) == RocksDBOptions()
