"""Train classifiers of handwritten digits, store every run with aimstore, and ask which was the best.

    python examples/train_digits.py

A grid of small networks is trained on real scans, by two processes at a time that write into one repository. Two more runs
are interrupted on purpose: one is asked to stop (SIGTERM), one is killed (SIGKILL). Then this program queries the runs, shows
the best ones as a table and a chart, and recovers what the killed run has stored.

Started again with the same `--repo` it adds another sweep; nothing that is there is changed. Start reading in
`digits/training.py`, which has all that a training script does with aimstore.
"""

import argparse
import os
import sys
from datetime import datetime
from itertools import product
from pathlib import Path
from signal import SIGKILL, SIGTERM

import numpy as np

from aimstore import Repo, Run
from digits.training import VALIDATION, Settings
from digits.workers import Worker, run_workers

LEARNING_RATES = 0.05, 0.2
HIDDEN = 16, 64
MOMENTUM_AND_DECAY = (0.0, 0.0), (0.9, 0.0), (0.9, 0.001)

DRAIN_INTERVAL = 0.05
"""Seconds at most from one drain to the next. A process that is killed loses what it tracked since the last one."""


def main() -> None:
    arguments = parse_arguments()
    try:  # here and not above: every worker imports this file, and needs none of these
        from digits.chart import draw_chart
        from digits.data import load_data
        from digits.report import show_runs, show_status
    except ImportError as error:
        sys.exit(f"This example needs matplotlib and scikit-learn: pip install 'aimstore[examples]' ({error})")
    # for the workers: there are several of them, so each is to compute in one thread
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

    repo = Repo.init(arguments.repo)
    sweep = datetime.now().isoformat(timespec="milliseconds")
    grid = [
        Worker(Settings(learning_rate, hidden, *momentum_and_decay, epochs=arguments.epochs))
        for learning_rate, hidden, momentum_and_decay in product(LEARNING_RATES, HIDDEN, MOMENTUM_AND_DECAY)
    ]
    endless = Settings(0.05, 64, 0.0, 0.0, epochs=10_000)
    asked, killed = Worker(endless, interrupt=SIGTERM), Worker(endless, interrupt=SIGKILL)
    workers = [*grid[:4], asked, killed, *grid[4:]]

    print(f"1. Train {len(grid)} networks and interrupt 2 more, {arguments.jobs} at a time, storing in {repo.path}\n")
    for worker in run_workers(workers, arguments.jobs, arguments.repo, sweep, load_data()):
        print(f"   {worker.run[:8]}  {worker.settings}: {outcome(repo, worker)}", flush=True)

    print("\n2. Ask which are the best: the accuracy on images that were not trained on, at the end\n")
    finished = f"run.sweep == {sweep!r} and 'grid' in run.tags"
    best = best_runs(repo, finished)
    show_runs(best[:5])
    good = f"run.metrics['accuracy', {VALIDATION}].max > 0.95"
    small = repo.query_runs(f"{finished} and run.hparams.hidden == 16 and {good}", on_error="raise")
    print(f"   Above 95 % at some time, with 16 hidden units only: {small.count()} networks")
    chart = arguments.chart or Path(arguments.repo, "digits.png")
    draw_chart(best, chart)
    print(f"   Their curves, and what the best one mistakes for what, are drawn in {chart}")

    print("\n3. See what the interrupted runs have left: one is stalled, until it is indexed again")
    show_status(repo)
    check_asked(repo, asked)
    recover(repo, killed)
    show_status(repo)


def parse_arguments() -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--repo", default="digits-demo", help="folder of the repository; what it has is kept")
    parser.add_argument("--epochs", type=positive, default=20, help="epochs of each training")
    parser.add_argument("--jobs", type=positive, default=2, help="training processes at a time")
    parser.add_argument("--chart", type=Path, help="PNG file to draw; None is digits.png in that folder")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {number}")
    return number


def outcome(repo: Repo, worker: Worker) -> str:
    """How a worker has ended, in words. Exits where that is not as it should be."""
    expected = -worker.interrupt if worker.interrupt else 0
    if worker.exit_code != expected:
        sys.exit(f"Training {worker.settings} ended with exit status {worker.exit_code} instead of {expected}")
    if worker.interrupt:
        return f"{worker.interrupt.name} after {worker.steps} steps"
    accuracy = repo.get_run(worker.run).get_metric("accuracy", VALIDATION)
    return f"{accuracy.last:.1%}"


def best_runs(repo: Repo, finished: str) -> list[Run]:
    """The runs that a query finds: the most accurate first, of equals the one with less loss."""
    query = f"{finished}\n   and metric.name == 'accuracy' and metric.context == {VALIDATION}"
    print(f"   {query}")
    found = repo.query_metrics(query, on_error="raise")
    ranked = sorted(found, key=lambda metric: (-metric.last, metric.run.get_metric("loss", VALIDATION).last))
    return [metric.run for metric in ranked]


def check_asked(repo: Repo, worker: Worker) -> None:
    """The run that got SIGTERM was finalized before its process ended, so it has lost nothing."""
    found = stored_steps(repo.get_run(worker.run))
    print(f"   {worker.run[:8]} got SIGTERM: {found} of {worker.steps} steps are stored, and it is finalized")
    assert worker.run not in repo.status().stalled
    assert found >= worker.steps, "a run that is asked to stop loses nothing"


def recover(repo: Repo, worker: Worker) -> None:
    """The run that got SIGKILL could do nothing. All is there but what it tracked since the last drain."""
    assert worker.run in repo.status().stalled
    report = repo.reindex(worker.run)
    assert report.indexed == [worker.run], report
    run = repo.get_run(worker.run)
    found = stored_steps(run)
    times = [record.time for record in run.get_metric("loss", VALIDATION)]
    bearable = DRAIN_INTERVAL / np.median(np.diff(times))  # the median, as a busy machine makes some steps longer
    print(
        f"   {worker.run[:8]} got SIGKILL: {found} of {worker.steps} steps are stored; up to {bearable:.0f} may be lost"
    )
    assert worker.steps - found <= bearable, "a killed run loses at most what it tracked since the last drain"


def stored_steps(run: Run) -> int:
    """How many steps there are in all metrics of a run. None has a gap."""
    steps = [metric.numpy()[0] for metric in run.metrics()]
    assert all(np.array_equal(each, np.arange(len(each))) for each in steps)
    return min(len(each) for each in steps)


if __name__ == "__main__":
    main()
