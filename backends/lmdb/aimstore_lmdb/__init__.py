"""The LMDB engine of aimstore: one environment per container."""
