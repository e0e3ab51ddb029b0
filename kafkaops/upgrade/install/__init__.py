"""A version of Kafka on a host: where it lies, whether it fits, how it gets there."""
