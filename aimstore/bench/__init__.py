"""Benchmarks: workloads, run on any engine or beside other tools, each repetition in a fresh process.

    workload.py    what a workload is; those of aimstore are in `workloads/`, plug-ins add theirs by a hook
    worker.py      the fresh process of one repetition, and what is measured of it from within
    runner.py      the order of repetitions, and what becomes of failures and interruptions
    report.py      results: samples, medians, quartiles, ratios; to JSON and back
    peers/         the same loops for other tools, in virtual environments of their own

`aimstore.cli.bench` is the command.
"""

from aimstore.bench.workload import Better, Case, Figure, Job, Workload

__all__ = ["Better", "Case", "Figure", "Job", "Workload"]
