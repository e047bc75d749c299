"""The data: 1,797 scans of handwritten digits, 8 × 8 pixels each, that come with scikit-learn."""

import numpy as np
from sklearn.datasets import load_digits

from digits.training import Data

VALIDATION = 450
"""Images that are kept for validation, a quarter."""


def load_data() -> Data:
    """The images, in an order that is always the same, split into those to train on and those to validate with."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16.0  # pixels are 0 to 16
    order = np.random.default_rng(0).permutation(len(images))
    train, validation = order[VALIDATION:], order[:VALIDATION]
    return Data(images[train], labels[train], images[validation], labels[validation])
