"""The RocksDB engine of aimstore: one database per container."""
