"""One training run. `train` contains everything that a training script does with aimstore."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from aimstore import Run
from digits.network import Network, confusion_matrix, score

BATCH = 32
MAGNITUDES = np.logspace(-7, 0, 43)  # six bins for each power of ten
TRAIN, VALIDATION = {"subset": "train"}, {"subset": "validation"}


@dataclass(frozen=True)
class Settings:
    """The hyper-parameters of one run."""

    learning_rate: float
    hidden: int
    momentum: float
    weight_decay: float
    epochs: int
    seed: int = 0

    def __str__(self) -> str:
        return f"lr {self.learning_rate}, {self.hidden} hidden, momentum {self.momentum}, decay {self.weight_decay}"


class Data(NamedTuple):
    """Images float64[n, pixels] and their labels int64[n]."""

    images: np.ndarray
    labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray


def train(
    repo: str,
    sweep: str,
    tag: str,
    settings: Settings,
    data: Data,
    on_step: Callable[[int], None],
    on_epoch: Callable[[str], None],
) -> None:
    """Train a network and store its progress in a new run.

    Args:
        repo: folder of the repository.
        sweep: the sweep that this run belongs to.
        tag: the tag of the run.
        settings: the hyper-parameters.
        data: training and validation images.
        on_step: called after each step, with the number of tracked steps.
        on_epoch: called after each epoch, with the hash of the run.
    """
    rng = np.random.default_rng(settings.seed)
    network = Network(data.images.shape[1], settings.hidden, rng)
    step = 0
    with Run(repo=repo, experiment="digits", name=str(settings), description="MLP in NumPy", tags=[tag]) as run:
        run["sweep"] = sweep
        run["hparams"] = asdict(settings)
        for epoch in range(settings.epochs):
            for batch in batches(len(data.images), rng):
                logits, gradients = network.gradients(data.images[batch], data.labels[batch])
                network.descend(gradients, settings.learning_rate, settings.momentum, settings.weight_decay)
                _, validation_logits = network.forward(data.validation_images)

                trained = score(logits, data.labels[batch])
                validated = score(validation_logits, data.validation_labels)
                run.track(trained, step=step, epoch=epoch, context=TRAIN)
                run.track(validated, step=step, epoch=epoch, context=VALIDATION)
                step += 1
                on_step(step)

            # a value can be a number or an object: here a tuple of two arrays (bin counts and edges), and a matrix
            histogram = np.histogram(np.abs(gradients[0]), MAGNITUDES)
            matrix = confusion_matrix(validation_logits, data.validation_labels)
            run.track(histogram, name="gradients", step=epoch, epoch=epoch, context={"layer": "hidden"})
            run.track(matrix, name="confusion", step=epoch, epoch=epoch, context=VALIDATION)
            on_epoch(run.hash)


def batches(n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Return the positions from 0 to n - 1 in random order, as full batches."""
    order = rng.permutation(n)
    return (order[start : start + BATCH] for start in range(0, n - BATCH + 1, BATCH))
