"""Finding plug-ins, asking them what they offer, and telling them of events."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import Backend, Indexer, Query
from aimstore.errors import ConfigError, PluginError
from aimstore.plugins import (
    BackendSpec,
    BrokenPlugin,
    CommandSpec,
    IndexerSpec,
    ObjectTypeSpec,
    PluginManager,
    WorkloadSpec,
    hookimpl,
    plugins,
)

OFFERS_OtherDB = """
from aimstore.plugins import BackendSpec, hookimpl

@hookimpl
def aimstore_backends():
    return [BackendSpec(name="otherdb", summary="s", extra="otherdb", factory="no_engine.backend:Backend")]
"""


class Offering:
    """A plug-in that offers the given backends, and remembers the events it is told of."""

    def __init__(self, *specs: object) -> None:
        self.specs = list(specs)
        self.events: list[tuple[object, ...]] = []

    @hookimpl
    def aimstore_backends(self) -> list[object]:
        return self.specs

    @hookimpl
    def aimstore_run_opened(self, run_hash: str, resumed: bool) -> None:
        self.events.append((run_hash, resumed))


def backend(name: str) -> BackendSpec:
    return BackendSpec(name=name, summary="one sentence", factory="engine:Backend")


def test_built_in_plug_ins_offer_the_defaults(manager: PluginManager) -> None:
    assert manager.names == ("defaults",)
    assert manager.indexer("container").factory == "aimstore.index.indexer:ContainerIndexer"
    assert manager.query_engine("python").factory == "aimstore.query.engine:PythonQuery"
    assert list(manager.backends()) == ["memory"]


def test_a_built_in_plug_in_can_be_disabled_like_any_other() -> None:
    manager = PluginManager(entry_points=False, disabled=["defaults"])
    assert manager.indexers() == {}


def test_an_installed_plug_in_is_found(install: Callable[[str, str, str], None]) -> None:
    install("otherdb", "otherdb_plugin", OFFERS_OtherDB)
    manager = PluginManager(disabled=())
    assert "otherdb" in manager.names
    assert manager.backend("otherdb").factory == "no_engine.backend:Backend"
    assert "no_engine" not in sys.modules


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import sys; sys.exit('wrong machine')", "SystemExit: wrong machine"),
        (
            "from aimstore.plugins import hookimpl\n@hookimpl\ndef aimstore_backend(): ...",
            "did you mean 'aimstore_back",
        ),
        (OFFERS_OtherDB.replace("aimstore_backends()", "aimstore_backends(path)"), "path"),
        (OFFERS_OtherDB.replace("@hookimpl", "@hookimpl(wrapper=True)") + "    yield\n", "is a wrapper"),
        (OFFERS_OtherDB.replace("return [", "return 1 / 0 or ["), "ZeroDivisionError"),
        (OFFERS_OtherDB.replace("return [", "return 5 or ["), "aimstore_backends returns a list of BackendSpec, not 5"),
        (OFFERS_OtherDB.replace('name="otherdb"', 'name="OtherDB!"'), "backend name 'OtherDB!'"),
        (OFFERS_OtherDB.replace("no_engine.backend:", ""), "factory is 'module:attribute', not 'Backend'"),
    ],
)
def test_a_broken_plug_in_is_recorded_and_the_others_work(
    install: Callable[[str, str, str], None], caplog: pytest.LogCaptureFixture, source: str, error: str
) -> None:
    install("bad", "bad_plugin", source)
    install("good", "good_plugin", OFFERS_OtherDB)
    manager = PluginManager(disabled=())
    assert manager.backend("otherdb").name == "otherdb"
    [broken] = [plugin for plugin in manager.broken if plugin.name == "bad"]
    assert error in broken.error
    assert "bad" not in manager.names
    assert "good" in manager.names
    assert "plug-in 'bad' is not used" in caplog.text


def test_a_missing_name_shows_the_nearest_the_known_the_disabled_and_the_broken(
    install: Callable[[str, str, str], None],
) -> None:
    install("bad", "bad_plugin", "import no_such_library")
    manager = PluginManager(disabled=["lmdb", "rocksdb"])
    manager.register(Offering(backend("otherdb"), backend("leveldb")), "mine")
    with pytest.raises(PluginError) as caught:
        manager.backend("othredb")
    assert str(caught.value) == (
        "no backend named 'othredb'; did you mean 'otherdb'? Known: leveldb, memory, otherdb. "
        "Disabled by AIMSTORE_DISABLED_PLUGINS: lmdb, rocksdb. "
        "Plug-in 'bad' is not used: ModuleNotFoundError: No module named 'no_such_library'."
    )


@pytest.mark.parametrize("name", [7, None, b"memory", ["memory"]])
def test_what_is_no_name_is_refused(manager: PluginManager, name: Any) -> None:
    with pytest.raises(PluginError, match=r"a backend is asked for by its name, not by .*\. Known: memory\."):
        manager.backend(name)


def raising(kind: type[BaseException]) -> Callable[..., Any]:
    def factory(*_: object) -> None:
        raise kind("no server at port 7")

    return factory


def test_a_factory_that_fails_is_named(manager: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = backend("broken")
    for factory, message in [
        (raising(RuntimeError), "backend 'broken' is broken: engine:Backend raised RuntimeError: no server at port 7"),
        (raising(SystemExit), "backend 'broken' is broken: engine:Backend raised SystemExit: no server at port 7"),
        (
            lambda root, options: 5,
            "backend 'broken' is broken: engine:Backend made 5, which is no aimstore.abc.Backend",
        ),
    ]:
        monkeypatch.setattr(manager, "load", lambda spec, factory=factory: factory)
        with pytest.raises(PluginError, match=message):
            manager.make_backend(spec, tmp_path, {})
    for kind in (ConfigError, ConnectionError):  # what callers know of
        monkeypatch.setattr(manager, "load", lambda spec, kind=kind: raising(kind))
        with pytest.raises(kind, match=r"^no server at port 7$"):
            manager.make_backend(spec, tmp_path, {})


def test_what_works_is_made(manager: PluginManager, tmp_path: Path) -> None:
    made = manager.make_backend(manager.backend("memory"), tmp_path, {})
    assert isinstance(made, Backend)
    assert isinstance(manager.make_indexer(manager.indexer("container"), made), Indexer)
    assert isinstance(manager.make_query_engine(manager.query_engine("python")), Query)
    with pytest.raises(ConfigError, match="memory has no option 'size'"):
        manager.make_backend(manager.backend("memory"), tmp_path, {"size": 1})


def test_a_spec_has_the_distribution_that_offers_it(install: Callable[[str, str, str], None]) -> None:
    install("otherdb", "otherdb_plugin", OFFERS_OtherDB)
    manager = PluginManager(disabled=())
    manager.register(Offering(backend("leveldb")), "mine")
    offering = {name: manager.distribution(spec) for name, spec in manager.backends().items()}
    assert offering["otherdb"] == "otherdb_plugin"
    assert offering["memory"] == offering["rocksdb"] == "aimstore"
    assert offering["leveldb"] == manager.distribution(backend("unknown")) == ""


def test_each_kind_of_spec_is_found_by_name(manager: PluginManager) -> None:
    point = ObjectTypeSpec(name="point", summary="s", type="geometry:Point", factory="my_points:codec")
    command = CommandSpec(name="export", summary="s", factory="my_commands:export")
    workload = WorkloadSpec(name="spectra", summary="s", factory="my_workloads:Spectra")

    class Various:
        @hookimpl
        def aimstore_object_types(self) -> list[ObjectTypeSpec]:
            return [point]

        @hookimpl
        def aimstore_cli_commands(self) -> list[CommandSpec]:
            return [command]

        @hookimpl
        def aimstore_bench_workloads(self) -> list[WorkloadSpec]:
            return [workload]

    manager.register(Various(), "various")
    assert manager.object_type("point") is point
    assert manager.cli_commands()["export"] is command
    assert manager.bench_workload("spectra") is workload
    with pytest.raises(PluginError, match=r"no workload named 'spectre'; did you mean 'spectra'"):
        manager.bench_workload("spectre")
    with pytest.raises(PluginError, match="no indexer named 'point'"):
        manager.indexer("point")


def test_two_plug_ins_that_offer_one_name_raise(manager: PluginManager) -> None:
    manager.register(Offering(backend("otherdb")), "one")
    manager.register(Offering(backend("otherdb")), "two")
    with pytest.raises(
        PluginError, match=r"backend named 'otherdb': 'one' and 'two'; .*_PLUGINS=one or .*_PLUGINS=two"
    ):
        manager.backends()


def test_two_distributions_with_one_entry_point_name_raise(
    install: Callable[[str, str, str], None],
) -> None:
    install("otherdb", "first_plugin", OFFERS_OtherDB)
    install("otherdb", "second_plugin", OFFERS_OtherDB)
    with pytest.raises(PluginError, match="two plug-ins named 'otherdb'") as caught:
        PluginManager(disabled=())
    assert "first_plugin" in str(caught.value)
    assert "second_plugin" in str(caught.value)
    assert "otherdb" not in PluginManager(disabled=["otherdb"]).names


def test_the_environment_disables_plug_ins(
    install: Callable[[str, str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("bad", "bad_plugin", "raise RuntimeError")
    monkeypatch.setenv("AIMSTORE_DISABLED_PLUGINS", " bad, lmdb, rocksdb,")
    manager = PluginManager()
    assert manager.disabled == {"bad", "lmdb", "rocksdb"}
    assert manager.broken == ()
    assert manager.names == ("defaults",)


def test_a_registered_name_is_taken_and_a_refused_plug_in_leaves_nothing(manager: PluginManager) -> None:
    manager.register(Offering(), "mine")
    with pytest.raises(PluginError, match="two plug-ins named 'mine'"):
        manager.register(Offering(backend("otherdb")), "mine")

    class Misspelt(Offering):
        @hookimpl
        def aimstore_run_open(self) -> None: ...

    with pytest.raises(PluginError, match="did you mean 'aimstore_run_opened'"):
        manager.register(Misspelt(backend("otherdb")), "other")
    assert manager.names == ("defaults", "mine")
    assert list(manager.backends()) == ["memory"]


def test_what_is_registered_later_is_seen(manager: PluginManager) -> None:
    assert list(manager.backends()) == ["memory"]
    manager.register(Offering(backend("otherdb")), "mine")
    assert list(manager.backends()) == ["memory", "otherdb"]


def test_each_plug_in_is_told_of_an_event_with_the_arguments_it_takes(manager: PluginManager) -> None:
    first, second = Offering(), Offering()
    manager.register(first, "first")
    manager.register(second, "second")
    manager.notify("aimstore_run_opened", run_hash="abc", repo="/r/.aim", resumed=True)
    assert first.events == second.events == [("abc", True)]


@pytest.mark.parametrize("kind", [RuntimeError, SystemExit])
def test_a_plug_in_that_raises_in_an_event_is_logged_and_harms_nothing(
    manager: PluginManager, caplog: pytest.LogCaptureFixture, kind: type[BaseException]
) -> None:
    class Raising:
        @hookimpl
        def aimstore_run_opened(self, run_hash: str) -> None:
            raise kind("no disk for " + run_hash)

    before, after = Offering(), Offering()
    manager.register(before, "before")
    manager.register(Raising(), "raising")
    manager.register(after, "after")
    manager.notify("aimstore_run_opened", run_hash="abc", repo="/r/.aim", resumed=False)
    assert before.events == after.events == [("abc", False)]
    [record] = caplog.records
    assert (record.name, record.levelno) == ("aimstore", logging.ERROR)
    assert record.getMessage() == "plug-in 'raising' failed in aimstore_run_opened; the run is not affected"
    assert "no disk for abc" in caplog.text


def test_an_event_with_wrong_arguments_is_a_mistake_of_the_caller(manager: PluginManager) -> None:
    with pytest.raises(TypeError, match="aimstore_run_opened takes run_hash, repo, resumed; got run_hash"):
        manager.notify("aimstore_run_opened", run_hash="abc")


def test_the_shared_manager_is_made_once() -> None:
    assert plugins() is plugins()


def test_importing_scans_nothing_and_loads_nothing() -> None:
    code = (
        "import sys, aimstore.plugins as p; names = 'aimstore.plugins.defaults', 'aimstore_rocksdb', 'numpy'; "
        "print([name for name in names if name in sys.modules], "
        "p.plugins.cache_info().currsize)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[] 0\n"


def test_a_broken_plug_in_is_plain_data() -> None:
    assert BrokenPlugin("x", "why") == BrokenPlugin(name="x", error="why")


def test_a_spec_of_another_kind_is_refused(manager: PluginManager) -> None:
    manager.register(Offering(IndexerSpec(name="x", summary="s", factory="m:f")), "mine")
    assert list(manager.backends()) == ["memory"]
    assert [plugin.name for plugin in manager.broken] == ["mine"]
