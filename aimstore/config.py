"""The repository's `config.toml`: its content, and how it is read, checked and changed.

    format_version = 1

    [storage]
    backend = "rocksdb"

    [storage.options]           # the options that the backend defines
    write_buffer_size = "4MiB"

    [indexer]
    name = "container"

    [query]
    engine = "python"

    [metadata]
    url = ""                    # "" is run_metadata.sqlite in the repository; any SQLAlchemy URL may replace it

The code that looks up backends, indexers and query engines checks their names and a backend's options.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aimstore.errors import ConfigError, StorageError, did_you_mean
from aimstore.plugins.defaults import DEFAULT_BACKEND

FORMAT_VERSION: Final = 1
"""The repository format that this version of aimstore writes, and the newest format that it reads."""

_VERSION: Final = ("format_version",)
_KEYS: Final[dict[tuple[str, ...], type]] = {
    _VERSION: int,
    ("storage", "backend"): str,
    ("storage", "options"): dict,
    ("indexer", "name"): str,
    ("query", "engine"): str,
    ("metadata", "url"): str,
}
_REQUIRED: Final[dict[tuple[str, ...], int | str]] = {
    _VERSION: FORMAT_VERSION,
    ("storage", "backend"): DEFAULT_BACKEND,
}
_TYPE_NAMES: Final = {int: "an integer", str: "a text in quotes", dict: "a table"}
_HEADER: Final = "# The configuration of this repository; `aimstore config` shows and changes it.\n"
_BARE_KEY: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_LINE: Final = re.compile(rf"\s*(?P<table>\[\[?)?\s*(?P<key>{_BARE_KEY}(?:\s*\.\s*{_BARE_KEY})*)\s*(?(table)\]|=)")


@dataclass(frozen=True)
class RepoConfig:
    """The configuration of a repository.

    Attributes:
        format_version: the format of everything in the repository.
        backend: the name of the storage engine.
        options: the engine's options as written in the file, unchecked.
        indexer: the name of the indexer.
        query: the name of the query engine.
        metadata_url: the SQLAlchemy URL of the metadata database; "" is `run_metadata.sqlite` in the repository.
    """

    format_version: int = FORMAT_VERSION
    backend: str = DEFAULT_BACKEND
    options: dict[str, Any] = field(default_factory=dict)
    indexer: str = "container"
    query: str = "python"
    metadata_url: str = ""

    def as_tables(self) -> dict[str, Any]:
        """The configuration as nested tables, nested and ordered as in the file."""
        return {
            "format_version": self.format_version,
            "storage": {"backend": self.backend, "options": self.options},
            "indexer": {"name": self.indexer},
            "query": {"engine": self.query},
            "metadata": {"url": self.metadata_url},
        }


def read_config(path: Path) -> RepoConfig:
    """Read the configuration from the file `path`.

    Raises:
        ConfigError: the file is missing, is not TOML, lacks a key, has an unknown key or a value of the wrong type, or
            was written by a newer aimstore. The message names the file, the line if there is one, and the fix.
        StorageError: the operating system refused to read the file.
    """
    return _parse(_read(path), path)


def write_config(path: Path, config: RepoConfig) -> None:
    """Write `config` to the file `path`, atomically: no reader and no crash sees a partly written file.

    Raises:
        ConfigError: the options hold a value that TOML cannot express, such as None.
        StorageError: the operating system refused; the previous file is unchanged.
    """
    import tomlkit  # reading does not need tomlkit

    try:
        text = _HEADER + tomlkit.dumps(config.as_tables())
    except ValueError as error:  # tomlkit's ConvertError
        raise ConfigError(f"{path} cannot hold the options {config.options!r}: {error}") from error
    _replace(path, text)


def get_value(path: Path, key: str) -> Any:
    """Return the value of a dotted key (`"storage.options.write_buffer_size"`), or the table of that name.

    A key that the file leaves out has its default value. Raises the errors of `read_config`, and `ConfigError` for an
    unknown key.
    """
    value: Any = read_config(path).as_tables()
    for depth, part in enumerate(parts := key.split(".")):
        if not isinstance(value, dict) or part not in value:
            known = [".".join((*parts[:depth], name)) for name in value] if isinstance(value, dict) else []
            raise ConfigError(f"{path}: no key {key!r}{did_you_mean(key, known)}")
        value = value[part]
    return value


def set_value(path: Path, key: str, value: Any) -> RepoConfig:
    """Set a dotted key, keeping the file's comments and order, and return the new configuration.

    Args:
        path: the file.
        key: such as `"storage.options.write_buffer_size"`. An option may be new; any other key must exist.
        value: text, a number, a bool, a date, or a list or dict of these. `parse_value` parses a command-line argument.

    Raises:
        ConfigError: the file is broken, the key does not exist, or the value does not fit it. The file is unchanged.
        StorageError: the operating system refused; the file is unchanged.
    """
    import tomlkit  # reading does not need tomlkit

    if key == "format_version":
        raise ConfigError(f"{path}: format_version says how the repository is stored; it is not a setting")
    text = _read(path)
    _parse(text, path)
    document = tomlkit.parse(text)
    table: Any = document
    *tables, last = key.split(".")
    for part in tables:
        if part not in table:
            table[part] = tomlkit.table()
        table = table[part]
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: no key {key!r}: {part} is a value, not a table")
    try:
        table[last] = value
    except ValueError as error:  # tomlkit's ConvertError
        raise ConfigError(f"{path} cannot hold {key} = {value!r}: {error}") from error
    changed = tomlkit.dumps(document)
    config = _checked(tomllib.loads(changed), "", path)  # the text has no line numbers of the file
    _replace(path, changed)
    return config


def parse_value(text: str) -> Any:
    """Parse `text` as a TOML value (`4`, `true`, `[1, 2]`, `"4"`); text that is not TOML is returned as it is."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _parse(text: str, path: Path) -> RepoConfig:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; correct that place") from error
    return _checked(tables, text, path)


def _checked(tables: dict[str, Any], text: str, path: Path) -> RepoConfig:
    _check_version(tables, text, path)
    values = _flatten(tables, (), text, path)
    for key, example in _REQUIRED.items():
        if key not in values:
            raise ConfigError(f"{path}: {'.'.join(key)} is missing; add {_assignment(key, example)}")
    return RepoConfig(
        format_version=values[_VERSION],
        backend=values["storage", "backend"],
        options=values.get(("storage", "options"), {}),
        indexer=values.get(("indexer", "name"), RepoConfig.indexer),
        query=values.get(("query", "engine"), RepoConfig.query),
        metadata_url=values.get(("metadata", "url"), RepoConfig.metadata_url),
    )


def _check_version(tables: dict[str, Any], text: str, path: Path) -> None:
    version = tables.get("format_version")
    if type(version) is not int:  # missing or of a wrong type: the check of all keys reports it
        return
    if version > FORMAT_VERSION:  # before the check of all keys, because a newer format may have more keys
        problem = (
            f"written by a newer aimstore (format {version}; this one reads up to {FORMAT_VERSION}): upgrade aimstore"
        )
    elif version < 1:
        problem = f"no format {version}; formats count from 1"
    else:
        return
    raise ConfigError(f"{_place(path, text, ('format_version',))}: {problem}")


def _flatten(tables: dict[str, Any], above: tuple[str, ...], text: str, path: Path) -> dict[tuple[str, ...], Any]:
    values: dict[tuple[str, ...], Any] = {}
    for name, value in tables.items():
        key = (*above, name)
        expected = _KEYS.get(key, dict)
        below = sorted({known[len(above)] for known in _KEYS if known[: len(above)] == above})
        if name not in below:
            table = f" in [{'.'.join(above)}]" if above else ""
            raise ConfigError(
                f"{_place(path, text, key)}: unknown key {name!r}{table}{did_you_mean(name, below) or '.'} "
                f"Known: {', '.join(below)}."
            )
        found: type = type(value)
        if found is not expected:
            raise ConfigError(
                f"{_place(path, text, key)}: {'.'.join(key)} must be {_TYPE_NAMES[expected]}, not {value!r:.80}"
            )
        values.update({key: value} if key in _KEYS else _flatten(value, key, text, path))
    return values


def _assignment(key: tuple[str, ...], value: object) -> str:
    *tables, name = key
    line = f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
    return f"the line `{line}` under [{'.'.join(tables)}]" if tables else f"the line `{line}` at the top"


def _place(path: Path, text: str, key: tuple[str, ...]) -> str:
    """`path` and the line of `key`; `path` alone if the line cannot be found."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if match := _LINE.match(line):
            written = tuple(part.strip("\"'") for part in re.findall(_BARE_KEY, match["key"]))
            whole = written if match["table"] else table + written
            table = written if match["table"] else table
            if whole[: len(key)] == key or (not match["table"] and key[: len(whole)] == whole):
                return f"{path}, line {number}"
    return str(path)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; `aimstore init` makes a repository") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        with temporary.open("x", encoding="utf-8", newline="") as file:
            if path.exists():
                os.fchmod(
                    file.fileno(), stat.S_IMODE(path.stat().st_mode)
                )  # shared repositories are writable for their group
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # makes the renaming durable
        finally:
            os.close(directory)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
