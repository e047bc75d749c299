"""Benchmarks: workloads, run on any engine or beside other tools, each repetition in a fresh process.

    workload.py    the contract of a workload; those of aimstore are in `workloads/`, plug-ins add theirs by a hook
    worker.py      the fresh process of one repetition, and what is measured of it from within
    runner.py      the order of repetitions, failures and interruptions
    outcomes.py    results: samples, medians, quartiles, ratios; to JSON and back
    tables.py      the tables of results, printed by `terminal.py`, and shown by `page.py` beside charts
    charts.py      the charts of results, drawn by `drawing.py`
    changes.py     the differences between two results
    shape.py       the shape of a repository, which `replay.py` replays
    peers/         the same loops for other tools, in virtual environments of their own

`aimstore.cli.bench` is the command.
"""

from aimstore.bench.workload import Better, Case, Figure, Job, Workload

__all__ = ["Better", "Case", "Figure", "Job", "Workload"]
