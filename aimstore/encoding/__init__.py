"""Bytes of paths, records and chunks; pure functions. Import the modules: NumPy loads only where arrays are met."""
