"""The loops that are measured, one module for each tool; each runs in its tool's own environment, without aimstore.

`python -m loops.NAME LOOP ARGUMENTS` with this folder's parent on the path: see `measure.main`.
"""
