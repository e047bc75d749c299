"""Tables on the terminal: the best runs, and the state of the repository."""

from rich import box
from rich.console import Console
from rich.table import Table

from aimstore import Repo, Run
from digits.training import VALIDATION

console = Console(highlight=False)


def show_runs(runs: list[Run]) -> None:
    """A line for each run, with what it was told and how well it did at its end."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("run", "lr", "hidden", "momentum", "decay", "accuracy", "loss", "train loss", "seconds"):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    for run in runs:
        hparams = run["hparams"]
        accuracy, loss = run.get_metric("accuracy", VALIDATION), run.get_metric("loss", VALIDATION)
        train_loss = run.get_metric("loss", {"subset": "train"})
        table.add_row(
            run.hash[:8],
            str(hparams["learning_rate"]),
            str(hparams["hidden"]),
            str(hparams["momentum"]),
            str(hparams["weight_decay"]),
            f"{accuracy.last:.1%}",
            f"{loss.last:.3f}",
            f"{train_loss.last:.3f}",
            f"{(run.finalized_at - run.created_at).total_seconds():.1f}",
        )
    console.print(table)


def show_status(repo: Repo) -> None:
    """What `Repo.status` says."""
    status = repo.status()
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_row("backend", status.backend)
    table.add_row("runs", f"{status.runs}, {status.indexed} of them indexed, {status.nbytes / 1e6:.1f} MB")
    table.add_row("active", " ".join(status.active) or "none")
    table.add_row("stalled", " ".join(status.stalled) or "none")
    console.print(table)
