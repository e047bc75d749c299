"""Parts of the example `train_digits.py`: the data, the network, a training run, and the display of results."""
