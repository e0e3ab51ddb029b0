"""A whole world on one machine: real Kafka, DNS, firewall and emulated AWS, behind namespaces."""
