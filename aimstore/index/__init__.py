"""The reference indexer and the packed record it keeps of each run."""
