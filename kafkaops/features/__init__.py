"""Feature levels of a cluster: what each means, which may move, and how they are moved."""
