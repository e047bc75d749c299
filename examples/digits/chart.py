"""The chart of a sweep: the curves of all runs, and the confusion matrix and the gradients of the best one."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aimstore import Run
from digits.training import VALIDATION

COLORS = ["#0b5fa5", "#d1495b", "#2e933c", "#e08e1b"]
INK, GREY, PALE = "#2b2b2b", "#8a8a8a", "#d4d4d4"
STYLE = {
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw_chart(runs: list[Run], file: Path) -> None:
    """Draw `runs`, the best one first, into a PNG file."""
    best, accuracy = runs[0], runs[0].get_metric("accuracy", VALIDATION).last
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(13, 10), layout="constrained")
        (accuracies, losses), (confusion, gradients) = figure.subplots(2, 2)
        figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)
        figure.suptitle(f"Best of {len(runs)} runs: {best.name}, {accuracy:.1%} of the validation images", fontsize=14)
        draw_curves(accuracies, runs, "accuracy")
        accuracies.set_ylim(0.6, 1)
        accuracies.yaxis.set_major_formatter("{x:.0%}")
        accuracies.legend(loc="lower right", frameon=False, title="the best, and all others in grey")
        draw_curves(losses, runs, "loss")
        losses.set_yscale("log")
        draw_confusion(confusion, best)
        draw_gradients(gradients, best)
        figure.savefig(file, dpi=120)


def draw_curves(axes: Axes, runs: list[Run], name: str) -> None:
    """A metric of all runs on the validation images, over the steps."""
    for rank, run in reversed(list(enumerate(runs))):
        steps, values = run.get_metric(name, VALIDATION).numpy()
        if rank < len(COLORS):
            axes.plot(steps, values, color=COLORS[rank], linewidth=1.6, label=run.name)
        else:
            axes.plot(steps, values, color=PALE, linewidth=0.9)
    axes.set(title=f"Validation {name}", xlabel="step")
    axes.grid(axis="y", color=PALE, linewidth=0.5)


def draw_confusion(axes: Axes, run: Run) -> None:
    """Which digits are taken for which others. Mistakes are few, so they alone have a color."""
    *_, last = run.get_sequence("confusion", VALIDATION)
    matrix = last.value
    mistakes = np.where(np.eye(len(matrix), dtype=bool), 0, matrix)
    axes.imshow(mistakes, cmap="Reds", vmin=0, vmax=2 * max(mistakes.max(), 1))
    for row, column in np.argwhere(matrix):
        color = GREY if row == column else INK
        axes.text(column, row, matrix[row, column], ha="center", va="center", color=color)
    digits = range(len(matrix))
    axes.set(title=f"Confusion after epoch {last.epoch}", xlabel="taken for", ylabel="digit", xticks=digits, yticks=digits)
    axes.tick_params(length=0)


def draw_gradients(axes: Axes, run: Run) -> None:
    """How the gradients of the hidden layer are spread, an epoch a column."""
    for record in run.get_sequence("gradients", {"layer": "hidden"}):
        counts, edges = record.value
        axes.pcolormesh([record.epoch - 0.5, record.epoch + 0.5], edges, counts[:, None], cmap="Blues", norm="log")
    axes.set(title="Gradients of the hidden layer", xlabel="epoch", ylabel="gradient")
