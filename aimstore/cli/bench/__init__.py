"""`aimstore bench`: its commands and options, the progress of measuring, and where results go. What is measured, and how, is in
`aimstore.bench`."""

from aimstore.cli.bench.commands import bench

__all__ = ["bench"]
