"""Volumes of every host of a cluster, from the operator's machine, one host at a time."""
