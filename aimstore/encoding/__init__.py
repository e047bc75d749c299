"""Bytes of keys, values, arrays, chunks, columns and outlines.

This room owns the stored format as pure functions, which can be tested without an engine. It imports types and errors
only. It exports nothing here: import its modules, so that NumPy is loaded only if arrays occur.
"""

__all__: list[str] = []
