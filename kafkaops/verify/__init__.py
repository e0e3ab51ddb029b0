"""Prove that two clusters hold the same records: walk raw logs, hash, compare, map offsets."""
