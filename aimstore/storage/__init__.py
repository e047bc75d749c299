"""Containers that need no engine, the tree over a container, and the layout of a repository in a directory."""
