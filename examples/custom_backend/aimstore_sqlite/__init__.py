"""The SQLite engine of aimstore, as an example: one database per container."""
