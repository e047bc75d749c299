"""The SQLite engine of aimstore, built step by step in the tutorial "Write a storage engine"."""
