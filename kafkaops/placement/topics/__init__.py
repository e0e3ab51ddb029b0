"""New topics and partitions, even from the start."""
