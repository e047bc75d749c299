"""The model: a multi-layer perceptron with one hidden layer, and stochastic gradient descent, in NumPy."""

import numpy as np

CLASSES = 10


class Network:
    """Images float64[n, pixels] → hidden layer with ReLU → logits float64[n, CLASSES].

    Attributes:
        weights: hidden weights, hidden bias, output weights, output bias.
    """

    def __init__(self, pixels: int, hidden: int, rng: np.random.Generator) -> None:
        self.weights = [
            rng.normal(0, np.sqrt(2 / pixels), (pixels, hidden)),
            np.zeros(hidden),
            rng.normal(0, np.sqrt(2 / hidden), (hidden, CLASSES)),
            np.zeros(CLASSES),
        ]
        self._velocities = [np.zeros_like(each) for each in self.weights]

    def forward(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the activations of the hidden layer, and the logits."""
        hidden_weights, hidden_bias, output_weights, output_bias = self.weights
        hidden = np.maximum(images @ hidden_weights + hidden_bias, 0)
        return hidden, hidden @ output_weights + output_bias

    def gradients(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the logits of a batch, and the gradient of its mean loss for each array in `weights`."""
        hidden, logits = self.forward(images)
        error = np.exp(log_softmax(logits))
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        hidden_error = (error @ self.weights[2].T) * (hidden > 0)
        return logits, [images.T @ hidden_error, hidden_error.sum(0), hidden.T @ error, error.sum(0)]

    def descend(self, gradients: list[np.ndarray], learning_rate: float, momentum: float, weight_decay: float) -> None:
        """Make one step of stochastic gradient descent."""
        for weights, gradient, velocity in zip(self.weights, gradients, self._velocities, strict=True):
            velocity *= momentum
            velocity += gradient + weight_decay * weights
            weights -= learning_rate * velocity


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithm of each class probability."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def score(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the mean cross-entropy, and the fraction of correctly classified images."""
    loss = -log_softmax(logits)[np.arange(len(labels)), labels].mean()
    return {"loss": float(loss), "accuracy": float((logits.argmax(axis=1) == labels).mean())}


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Count how often each digit (row) was classified as each digit (column): int64[CLASSES, CLASSES]."""
    matrix = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(matrix, (labels, logits.argmax(axis=1)), 1)
    return matrix
