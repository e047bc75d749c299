"""`aimstore init` and `aimstore config`: create a repository, and show or change its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import click

from aimstore.cli.options import engine_options, example, json_option, repo_option, traceback_option
from aimstore.cli.output import print_json, say
from aimstore.errors import ConfigError
from aimstore.plugins import plugins

if TYPE_CHECKING:
    from pathlib import Path

    from aimstore.config import RepoConfig


@click.command(
    epilog=example("aimstore init", "aimstore init --repo results --backend rocksdb --option write_buffer_size=8MiB")
)
@click.option("--backend", metavar="NAME", help="Storage engine; see aimstore backends.")
@click.option("--option", "options", metavar="KEY=VALUE", multiple=True, help="Option of the engine; may be repeated.")
@click.option("--metadata-url", metavar="URL", help="SQLAlchemy URL of the metadata database (default: SQLite).")
@repo_option
@json_option
@traceback_option
def init(
    backend: str | None, options: tuple[str, ...], metadata_url: str | None, repo: str | None, as_json: bool
) -> None:
    """Create a repository.

    The repository is created in the working directory, or in the folder given with --repo. An existing repository is
    left unchanged; if its settings differ from those given, that is an error.
    """
    from aimstore.repo import Repo
    from aimstore.repository.location import directory_of, is_empty

    given = engine_options(options)
    new = is_empty(directory_of(repo or "."))
    made = Repo.init(repo or ".", backend=backend, options=given or None, metadata_url=metadata_url)
    if as_json:
        print_json({"path": str(made.path), "backend": made.config.backend, "created": new})
    elif new:
        click.echo(f"made the repository {made.path} ({made.config.backend})")
    else:
        click.echo(f"the repository {made.path} ({made.config.backend}) is there already")


@click.command(
    epilog=example(
        "aimstore config",
        "aimstore config storage.backend",
        "aimstore config storage.options.write_buffer_size 8MiB",
    )
)
@click.argument("key", required=False)
@click.argument("value", required=False)
@repo_option
@json_option
@traceback_option
def config(key: str | None, value: str | None, repo: str | None, as_json: bool) -> None:
    """Show or change the configuration.

    Without KEY, prints config.toml. With KEY, prints its value. With KEY and VALUE, sets the value if the storage
    engine and all other parts accept it. VALUE is parsed as TOML; if it is not TOML, it is taken as text.
    """
    from aimstore.config import get_value, parse_value, read_config, set_value
    from aimstore.repository.location import CONFIG, find, note_backend, read_own_config

    directory = find(repo)
    file = directory / CONFIG
    if not file.exists():
        read_own_config(directory)  # checks what kind of directory it is
    if key is None:
        if as_json:
            print_json(read_config(file).as_tables())
        else:
            click.echo(file.read_text("utf-8").rstrip())  # print a broken file too, so that the user can fix it
        return
    if value is not None:
        former = read_config(file)
        _check(directory, former, key, parse_value(value))
        changed = set_value(file, key, parse_value(value))
        note_backend(directory, changed.backend)
        if changed.metadata_url != former.metadata_url:
            say("names, experiments and tags that the former metadata database holds are not moved to the new one")
    found = get_value(file, key)
    if as_json:
        print_json(found)
    elif isinstance(found, str):
        click.echo(found)
    else:
        import tomlkit

        click.echo((tomlkit.dumps(found) if isinstance(found, Mapping) else tomlkit.item(found).as_string()).rstrip())


def _check(directory: Path, config: RepoConfig, key: str, value: Any) -> None:
    """Return if every part concerned accepts the value. `set_value` checks that the key exists and the type fits."""
    from aimstore.repository.location import noted_backend

    tables = deepcopy(config.as_tables())
    *above, last = key.split(".")
    table: Any = tables
    for part in above:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict) or (above != ["storage", "options"] and type(table.get(last)) is not type(value)):
        return
    table[last] = value
    manager = plugins()
    if key == "storage.backend" and value not in (config.backend, noted_backend(directory)):
        _refuse_runs(directory, config.backend)
    if key.startswith("storage."):
        options = manager.load_options(manager.backend(tables["storage"]["backend"]))
        if options is not None:
            options.parse(tables["storage"]["options"])
    elif key == "indexer.name":
        manager.indexer(value)
    elif key == "query.engine":
        manager.query_engine(value)
    elif key == "metadata.url" and value:
        from aimstore.metadata import open_store

        open_store(value, lock=nullcontext).close()  # this does not connect


def _refuse_runs(directory: Path, backend: str) -> None:
    from aimstore.repo import Repo

    if Repo(directory).list_runs():
        raise ConfigError(f"the runs in {directory} are stored by {backend}; another engine would not find them")


def effective_options(backend: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an engine with their defaults, as the engine parses them; `given` if the engine declares none."""
    manager = plugins()
    options = manager.load_options(manager.backend(backend))
    parsed = None if options is None else options.parse(given)
    return asdict(parsed) if is_dataclass(parsed) and not isinstance(parsed, type) else dict(given)
