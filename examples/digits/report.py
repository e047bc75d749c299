"""Tables on the terminal: the best runs, and the state of the repository."""

from rich import box
from rich.console import Console
from rich.table import Table

from aimstore import Repo, Run
from digits.training import VALIDATION

console = Console(highlight=False)


def show_runs(runs: list[Run]) -> None:
    """Show one row per run: its hyper-parameters, and its final accuracy and loss."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("run", "lr", "hidden", "momentum", "decay", "accuracy", "loss"):
        table.add_column(heading, justify="right")
    for run in runs:
        hparams = run["hparams"]
        table.add_row(
            run.hash[:8],
            *(str(hparams[name]) for name in ("learning_rate", "hidden", "momentum", "weight_decay")),
            f"{run.get_metric('accuracy', VALIDATION).last:.1%}",
            f"{run.get_metric('loss', VALIDATION).last:.3f}",
        )
    console.print(table)


def show_status(repo: Repo) -> None:
    """Show the result of `Repo.status`."""
    status = repo.status()
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_row("backend", status.backend)
    table.add_row("runs", f"{status.runs}, {status.indexed} of them indexed, {status.nbytes / 1e6:.1f} MB")
    table.add_row("active", " ".join(run[:8] for run in status.active) or "none")
    table.add_row("stalled", " ".join(run[:8] for run in status.stalled) or "none")
    console.print(table)
