"""The data: 1,797 scans of handwritten digits from scikit-learn, 8 × 8 pixels each."""

import numpy as np
from sklearn.datasets import load_digits

from digits.training import Data

VALIDATION = 450
"""Number of images kept for validation, a quarter of the data."""


def load_data() -> Data:
    """Return the images in a fixed random order, split into training and validation images."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16.0  # pixel values are 0 to 16
    order = np.random.default_rng(0).permutation(len(images))
    train, validation = order[VALIDATION:], order[:VALIDATION]
    return Data(images[train], labels[train], images[validation], labels[validation])
