"""Sequences: how a run's tracked values are written, stored and read. Importing the package loads no NumPy."""
