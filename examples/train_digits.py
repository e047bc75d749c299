"""Train classifiers of handwritten digits, store every run with aimstore, and find the best run.

    python examples/train_digits.py

The program trains a grid of small networks on real scans. Two processes at a time write into one repository. The
program interrupts two more runs on purpose: it asks the first to stop (SIGTERM) and kills the second (SIGKILL). Then
it queries the runs, shows the best ones as a table and a chart, and recovers the stored data of the killed run.

If you start the program again with the same `--repo`, it adds another sweep and leaves existing runs unchanged. Start
reading in `digits/training.py`, which contains everything that a training script does with aimstore.
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
"""Maximum seconds between two drains. A killed process loses the points it tracked since the last drain."""


def main() -> None:
    arguments = parse_arguments()
    try:  # not at the top: every worker imports this file, but needs none of these modules
        from digits.chart import draw_chart
        from digits.data import load_data
        from digits.report import show_runs, show_status
    except ImportError as error:
        sys.exit(f"This example needs matplotlib and scikit-learn: pip install 'aimstore[examples]' ({error})")
    # several workers run at once, so each computes in one thread
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
    parser.add_argument("--repo", default="digits-demo", help="folder of the repository; existing runs are kept")
    parser.add_argument("--epochs", type=positive, default=20, help="epochs of each training")
    parser.add_argument("--jobs", type=positive, default=2, help="training processes at a time")
    parser.add_argument("--chart", type=Path, help="PNG file of the chart; None means digits.png in that folder")
    return parser.parse_args()


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1, not {number}")
    return number


def outcome(repo: Repo, worker: Worker) -> str:
    """Describe how a worker ended. Exit the program if it ended in an unexpected way."""
    expected = -worker.interrupt if worker.interrupt else 0
    if worker.exit_code != expected:
        sys.exit(f"Training {worker.settings} ended with exit status {worker.exit_code} instead of {expected}")
    if worker.interrupt:
        return f"{worker.interrupt.name} after {worker.steps} steps"
    accuracy = repo.get_run(worker.run).get_metric("accuracy", VALIDATION)
    return f"{accuracy.last:.1%}"


def best_runs(repo: Repo, finished: str) -> list[Run]:
    """Return the runs that the query finds, sorted by descending accuracy and then by ascending loss."""
    query = f"{finished}\n   and metric.name == 'accuracy' and metric.context == {VALIDATION}"
    print(f"   {query}")
    found = repo.query_metrics(query, on_error="raise")
    ranked = sorted(found, key=lambda metric: (-metric.last, metric.run.get_metric("loss", VALIDATION).last))
    return [metric.run for metric in ranked]


def check_asked(repo: Repo, worker: Worker) -> None:
    """Check the run that got SIGTERM: it was finalized before its process ended, so no point is missing."""
    found = stored_steps(repo.get_run(worker.run))
    print(f"   {worker.run[:8]} got SIGTERM: {found} of {worker.steps} steps are stored, and it is finalized")
    assert worker.run not in repo.status().stalled
    assert found >= worker.steps, "a run that is asked to stop loses nothing"


def recover(repo: Repo, worker: Worker) -> None:
    """Recover the run that got SIGKILL. Only the points it tracked since the last drain are missing."""
    assert worker.run in repo.status().stalled
    report = repo.reindex(worker.run)
    assert report.indexed == [worker.run], report
    run = repo.get_run(worker.run)
    found = stored_steps(run)
    times = [record.time for record in run.get_metric("loss", VALIDATION)]
    bearable = DRAIN_INTERVAL / np.median(np.diff(times))  # the median: a busy machine delays some steps
    print(
        f"   {worker.run[:8]} got SIGKILL: {found} of {worker.steps} steps are stored; up to {bearable:.0f} may be lost"
    )
    assert worker.steps - found <= bearable, "a killed run loses at most what it tracked since the last drain"


def stored_steps(run: Run) -> int:
    """Return the number of steps that all metrics of a run have. No metric has a gap."""
    steps = [metric.numpy()[0] for metric in run.metrics()]
    assert all(np.array_equal(each, np.arange(len(each))) for each in steps)
    return min(len(each) for each in steps)


if __name__ == "__main__":
    main()
