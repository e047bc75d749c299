"""The LMDB engine of aimstore: one environment per container.

The package owns everything that knows LMDB. It may import `aimstore.abc`, `storage`, `plugins` and the floors below them. It
offers, through its plug-in and nothing else, `backend:LMDBBackend` and its options `config:LMDBOptions`; tests also use
`container:LMDBContainer` and `limits:LMDBLimits`. Importing the package loads nothing; only `engine` imports lmdb.
"""

__all__: list[str] = []
