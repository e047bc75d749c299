"""The chart of a sweep: the curves of all runs, and the confusion matrix and the gradients of the best run."""

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

SMOOTH = 25
"""Number of steps over which the curves are averaged. The best runs also show their raw values, faintly."""


def draw_chart(runs: list[Run], file: Path) -> None:
    """Draw `runs`, sorted from best to worst, into a PNG file."""
    best, accuracy = runs[0], runs[0].get_metric("accuracy", VALIDATION).last
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(13, 10), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.15, h_pad=0.15)
        figure.suptitle(f"Best of {len(runs)} runs: {best.name}, {accuracy:.1%} of the validation images", fontsize=14)
        (accuracies, losses), (confusion, gradients) = figure.subplots(2, 2)
        draw_curves(accuracies, runs, "accuracy")
        accuracies.set_ylim(0.7, 1)
        accuracies.yaxis.set_major_formatter("{x:.0%}")
        draw_curves(losses, runs, "loss")
        losses.set_yscale("log")
        losses.yaxis.set_major_formatter("{x:g}")
        losses.yaxis.set_minor_formatter("")
        losses.legend(loc="upper right", edgecolor="none", title="the best; all others in grey", alignment="left")
        draw_confusion(confusion, best)
        draw_gradients(gradients, best)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, dpi=120)


def draw_curves(axes: Axes, runs: list[Run], name: str) -> None:
    """Draw a validation metric of all runs over the steps, with the best runs in front."""
    for rank, run in enumerate(runs):
        steps, values = run.get_metric(name, VALIDATION).numpy()
        smooth = np.convolve(values, np.full(SMOOTH, 1 / SMOOTH), mode="valid")
        if rank < len(COLORS):
            axes.plot(steps, values, color=COLORS[rank], alpha=0.15, linewidth=0.8, zorder=2)
            axes.plot(steps[-len(smooth) :], smooth, color=COLORS[rank], zorder=4 - rank / 10, label=run.name)
        else:
            axes.plot(steps[-len(smooth) :], smooth, color=PALE, zorder=1)
    axes.set(title=f"Validation {name}", xlabel="step", xlim=(0, None))
    axes.grid(axis="y", color=PALE, linewidth=0.5)


def draw_confusion(axes: Axes, run: Run) -> None:
    """Draw which digits are mistaken for which others. Only mistakes have a color, because they are few."""
    *_, last = run.get_sequence("confusion", VALIDATION)
    matrix = last.value
    right = np.eye(len(matrix), dtype=bool)
    mistakes = np.ma.masked_where(right | (matrix == 0), matrix)
    axes.imshow(mistakes, cmap="Reds", vmin=-1, vmax=max(6, 2 * matrix[~right].max()))
    for row, column in np.argwhere(matrix):
        color = GREY if row == column else INK
        axes.text(column, row, matrix[row, column], ha="center", va="center", color=color)
    axes.set(title=f"Confusion after {last.epoch + 1} epochs", xlabel="taken for", ylabel="digit")
    axes.set(xticks=range(len(matrix)), yticks=range(len(matrix)))
    axes.set_xticks(np.arange(len(matrix) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(matrix) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=PALE, linewidth=0.5)
    axes.tick_params(which="both", length=0)


def draw_gradients(axes: Axes, run: Run) -> None:
    """Draw the magnitudes of the hidden layer's gradients, with one column per epoch."""
    records = list(run.get_sequence("gradients", {"layer": "hidden"}))
    counts = np.column_stack([record.value[0] for record in records])
    _, magnitudes = records[0].value
    axes.pcolormesh(np.arange(len(records) + 1), magnitudes, counts, cmap="Blues")
    axes.set(title="Gradients of the hidden layer (the darker, the more)", xlabel="epoch")
    axes.set(ylabel="magnitude", yscale="log")
    axes.xaxis.get_major_locator().set_params(integer=True)
