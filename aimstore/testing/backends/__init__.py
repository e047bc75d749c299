"""Tests of backends: opening, listing, versions, locks, markers."""
