"""What a cluster carries, and how many brokers a workload takes."""
