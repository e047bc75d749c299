"""Values of every type come through a conversion to another engine and back as they were, known here or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import PIL.Image
import plotly.graph_objects as go
import pytest

from aimstore import Audio, Distribution, Figure, Image, Repo, Run, Text
from aimstore.encoding.values import Opaque
from aimstore.plugins import ObjectTypeSpec, PluginManager, hookimpl, objects
from aimstore.repository import catalog_of, context_of
from aimstore.repository.conversion import convert
from aimstore.repository.transfer import checksums

PIXELS = np.random.default_rng(0).integers(0, 256, (120, 90, 3)).astype(np.uint8)
"""Does not compress, so that an image of it is stored by itself."""


@dataclass(frozen=True)
class Point:
    x: float
    y: float


class PointCodec:
    @staticmethod
    def encode(point: Point) -> bytes:
        return f"{point.x} {point.y}".encode()

    @staticmethod
    def decode(data: bytes) -> Point:
        return Point(*map(float, data.split()))


class Points:
    @hookimpl
    def aimstore_object_types(self) -> list[ObjectTypeSpec]:
        return [ObjectTypeSpec(name="point", summary="s", type=f"{__name__}:Point", factory=f"{__name__}:PointCodec")]


@pytest.fixture
def custom_type(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`Point` is of a registered type."""
    manager = PluginManager()
    manager.register(Points(), "points")
    monkeypatch.setattr(objects, "plugins", lambda: manager)
    caches = (objects._spec_of, objects._codec, objects._codec_or_none)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def tracked(tmp_path: Path) -> dict[str, list[Any]]:
    """Values of each type, by name of the sequence."""
    picture = PIL.Image.fromarray(PIXELS)
    picture.save(tmp_path / "picture.jpg")
    plot = matplotlib.figure.Figure(figsize=(2, 1), dpi=50)
    plot.add_subplot().plot([1, 3, 2])
    (tmp_path / "sound.mp3").write_bytes(b"ID3" + bytes(range(256)))
    return {
        "text": [Text("ü"), "plain", Text("x" * 50_000)],
        "image": [Image(PIXELS, caption="array"), Image(picture, format="webp"), Image(tmp_path / "picture.jpg")],
        "audio": [Audio(np.sin(np.arange(8000) / 20), rate=8000), Audio(tmp_path / "sound.mp3")],
        "distribution": [Distribution(np.arange(100) ** 2), Distribution([1.5])],
        "figure": [Figure(go.Figure(go.Scatter(y=[1, 3, 2])), caption="c"), Figure(plot), Figure(plot, format="png")],
        "point": [Point(0.5, -1.0), Point(1e300, 0.0)],
        "hologram": [Opaque("hologram", b"\xc1 is no msgpack"), Opaque("hologram", bytes(100_000))],
        "array": [PIXELS, np.array([[1 + 2j, np.nan]]), np.array([], np.int16), np.arange(50_000)],
        "number": [1, 2.5, float("inf"), -0.0],
    }


def seen(run: Run) -> tuple[dict[str, Any], dict[str, list[tuple[Any, ...]]]]:
    sequences = {
        each.name: [(value.step, value.epoch, value.time, value.value) for value in each] for each in run.sequences()
    }  # fmt: skip
    return run[...], sequences


def check_same(found: object, expected: object) -> None:
    """As `==`, and true of arrays and NaN too."""
    assert type(found) is type(expected)
    if isinstance(found, np.ndarray):
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype  # type: ignore[attr-defined]
    elif isinstance(found, dict):
        assert found.keys() == expected.keys()  # type: ignore[attr-defined]
        for key, value in found.items():
            check_same(value, expected[key])  # type: ignore[index]
    elif isinstance(found, list | tuple):
        for one, other in zip(found, expected, strict=True):  # type: ignore[call-overload]
            check_same(one, other)
    else:
        assert found == expected


@pytest.mark.usefixtures("custom_type")
def test_every_type_comes_through_a_conversion_there_and_back(
    repo: Repo, tmp_path: Path, tracked: dict[str, list[Any]], values: Callable[..., Any]
) -> None:
    with Run(repo=repo, name="all", experiment="types", tags=["a", "b"], description="d") as run:
        run["parameters"] = tracked
        for name, each in tracked.items():
            for number, value in enumerate(each):
                run.track(value, name=name, epoch=number // 2)
    check_same({name: [value for _, value in values(run, name)] for name in tracked}, tracked)
    source, before = repo, seen(repo.get_run(run.hash))
    assert before[1].keys() == tracked.keys()
    for backend in ("lmdb", "rocksdb"):
        assert convert(context_of(source), tmp_path / backend, backend=backend).failed == {}
        copy = Repo(tmp_path / backend)
        found = copy.get_run(run.hash)
        check_same(seen(found), before)
        assert checksums(context_of(copy).backend, run.hash) == checksums(context_of(repo).backend, run.hash)
        assert catalog_of(copy).properties(run.hash) == catalog_of(repo).properties(run.hash)
        for kind in ("text", "image", "audio", "distribution", "figure", "point", "hologram", "array"):
            [sequence] = copy.query_sequences(kind=kind)
            check_same([value.value for value in sequence], tracked[sequence.name])
        source = copy
