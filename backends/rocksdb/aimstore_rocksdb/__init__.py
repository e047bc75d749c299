"""The RocksDB engine of aimstore: one database per container.

The package owns everything that knows RocksDB. It may import `aimstore.abc`, `storage`, `plugins` and the floors below them.
It offers, through its plug-in and nothing else, `backend:RocksDBBackend` and its options `config:RocksDBOptions`; tests also use
`container:RocksDBContainer` and `limits:RocksDBLimits`. Importing the package loads nothing; only `engine` imports rocksdict.
"""

__all__: list[str] = []
