"""Tests of containers, one module for each operation."""
