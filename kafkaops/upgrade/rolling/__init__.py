"""Rolling over the nodes of one cluster, batch by batch: the safe restart."""
