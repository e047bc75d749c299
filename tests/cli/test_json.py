from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aimstore import Run
from aimstore.cli.output import jsonable


def test_keys_that_would_become_one_are_told_apart() -> None:
    assert jsonable({1: "x", "1": "y"}) == {"1 (int)": "x", "1": "y"}
    assert jsonable({"1 (int)": 0, 1: 1, "1": 2}) == {"1 (int)": 0, "1 (int) (int)": 1, "1": 2}
    assert jsonable({5: 1, None: 2}) == {"5": 1, "None": 2}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.longdouble(0.5), 0.5),
        (np.longdouble("nan"), "NaN"),
        (np.array([1.5], np.longdouble), [1.5]),
        (np.array(5), 5),
        (np.clongdouble(1j), "1j"),
    ],
)
def test_numbers_of_numpy_end(value: Any, shown: Any) -> None:
    assert jsonable(value) == shown


def test_both_keys_of_a_run_are_shown(invoke: Any, tmp_path: Any) -> None:
    with Run(repo=tmp_path) as run:
        run["x"] = {1: "int", "1": "str"}
        run["lr"] = np.longdouble(1) / 3
    found = json.loads(invoke("runs", "show", run.hash, "--repo", str(tmp_path), "--json").stdout)
    assert found["parameters"]["x"] == {"1 (int)": "int", "1": "str"}
    assert found["parameters"]["lr"] == 1 / 3
