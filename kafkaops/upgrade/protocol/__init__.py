"""Raising the protocol that brokers in ZooKeeper mode speak to each other: the second roll."""
