"""Bytes of keys, values, arrays, chunks, columns and outlines.

Owns the stored format as pure functions, which need no engine to be tested. Imports types and errors only. Nothing is
exported here: import the modules, because NumPy is loaded only where arrays are met.
"""

__all__: list[str] = []
