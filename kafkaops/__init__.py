"""kafkaops: operate Apache Kafka clusters on AWS."""
